"""Answers that were not true: I-8, I-9, I-19, I-31, I-33."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests.support.client import Answer
from tests.support.server import Server

FAULTY = "tests.support.faults:echo"


@pytest.fixture(scope="module")
def faulty(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose store fails as the file `fault` says."""
    with Server(tmp_path_factory.mktemp("faulty"), target=FAULTY) as running:
        yield running


def test_a_reply_whose_commit_failed_though_it_is_kept_is_answered(faulty: Server) -> None:
    """I-31: the store is asked, once it has made sure of what is there."""
    fail(faulty, "once after COMMIT io")
    assert faulty.chat("kept", "c1").status == 200
    assert len(faulty.history("c1")) == 2


def test_a_commit_that_did_not_take_place_is_rolled_back_and_the_next_works(
    faulty: Server,
) -> None:
    """I-23, I-31"""
    fail(faulty, "once before COMMIT io")
    refused = faulty.chat("lost", "c2")
    assert seen(refused) == (503, "store-unavailable", "rolled_back")
    assert faulty.history("c2") == []
    assert faulty.chat("again", "c2").json["turn"] == 1


def test_a_disk_that_fails_is_a_line_of_the_log_and_no_traceback(folder: Path) -> None:
    with Server(folder, target=FAULTY) as server:
        fail(server, "before COMMIT io")
        assert server.chat("lost").status == 503
        server.stop()
        (line,) = [line for line in server.logged if line.get("error") == "StoreUnavailable"]
        assert "disk I/O error" in line["cause"]
        assert "Traceback" not in server.log


@pytest.mark.parametrize("key", [{}, {"idempotency_key": '"k"'}], ids=["plain", "keyed"])
def test_while_nobody_can_tell_the_outcome_is_unknown_and_after_a_restart_it_is_known(
    folder: Path, key: dict[str, str]
) -> None:
    """I-18, I-19, I-31: and a retry under the same key does not run the turn twice."""
    with Server(folder, target=FAULTY) as server:
        fail(server, "INSERT INTO turns -> after COMMIT io")
        answer = server.chat("kept", **key)
        assert seen(answer) == (503, "store-unavailable", "unknown")
        turn_id = answer.json["turn_id"]
        assert server.turn(turn_id)["outcome"] == "unknown"
        if key:
            assert seen(server.chat("kept", **key)) == (503, "store-unavailable", "unknown")
        server.kill()
        cure(server)
        server.start()
        found = server.until_ended(turn_id)
        assert (found["state"], found["turn"]) == ("answered", 1)
        if key:
            again = server.chat("kept", **key)
            assert (again.status, again.json["turn_id"]) == (200, turn_id)
        assert server.calls().count("began kept") == 1
        assert len(server.history()) == 2


def test_a_store_that_cannot_be_read_says_nothing_of_a_turns_outcome(folder: Path) -> None:
    """I-31: neither to who asks for the turn, nor to who sends it again."""
    with Server(folder, target=FAULTY, server__resume_turns=1) as server:
        kept = server.chat("sleep 0.1", idempotency_key='"k"')
        assert kept.status == 200
        assert server.chat("takes its place in memory", "other").status == 200
        fail(server, "before SELECT io")
        for answer in (
            server.request("GET", f"/turns/{kept.json['turn_id']}"),
            server.chat("sleep 0.1", idempotency_key='"k"'),
        ):
            assert seen(answer) == (503, "store-unavailable", "unknown")
        cure(server)
        again = server.chat("sleep 0.1", idempotency_key='"k"')
        assert (again.status, again.json["turn_id"]) == (200, kept.json["turn_id"])
        assert again.json["ran_ms"] >= 100


STATEMENTS = (
    "once before BEGIN memory",
    "once before COMMIT memory",
    "once after COMMIT memory",
    "once before INSERT INTO accepted memory",
    "once before UPDATE accepted SET attempts memory",
    "UPDATE accepted SET attempts -> once before COMMIT memory",
    "once before INSERT INTO turns memory",
    "once before UPDATE accepted SET state memory",
    "INSERT INTO turns -> once before COMMIT memory",
    "INSERT INTO turns -> once after COMMIT memory",
    "INSERT INTO turns -> before COMMIT memory",
)


@pytest.mark.parametrize("fault", STATEMENTS)
def test_a_turn_in_whose_write_the_memory_ends_has_an_outcome_and_its_conversation_goes_on(
    faulty: Server, fault: str
) -> None:
    """I-8, I-9, I-33"""
    before = faulty.health()["turns"]
    conversation = f"m{STATEMENTS.index(fault)}"
    fail(faulty, fault)
    answer = faulty.chat("first", conversation, prefer="respond-async")
    ended = faulty.until_ended(answer.json["turn_id"])
    cure(faulty)
    assert ended["state"] in ("answered", "failed", "cancelled")
    kept = len(faulty.history(conversation))
    if ended["state"] == "answered":
        assert kept == 2
    elif ended["outcome"] != "unknown":
        assert kept == 0
    next_one = faulty.chat("next", conversation, idempotency_key='"next"')
    assert (next_one.status, next_one.json["turn"]) == (200, kept // 2 + 1)
    shown = faulty.request("GET", f"/conversations/{conversation}").json
    assert (shown["waiting"], shown["running"]) == ([], None)
    turns = faulty.health()["turns"]
    added = {state: count - before.get(state, 0) for state, count in turns.items()}
    assert added.pop("accepted") == sum(added.values()) - added.pop("refused_at_once") == 2


def test_the_turn_of_each_sender_whose_messages_were_merged_is_found_after_a_restart(
    folder: Path,
) -> None:
    """I-2: with the same number and reply, though nobody had been promised it."""
    with Server(folder, strategy__name="merge") as server:
        blocking = server.ask("until go")
        server.until_called("until go")
        answers: list[Answer] = []
        threads = [
            Thread(target=lambda text=text: answers.append(server.chat(text)))
            for text in ("one", "two", "three")
        ]
        for thread in threads:
            thread.start()
        server.until_depth(3)
        server.let_on("go")
        for thread in threads:
            thread.join()
        server.until_ended(blocking)
        server.stop()
        server.start()
        for answer in answers:
            found = server.turn(answer.json["turn_id"])
            assert found["state"] == "answered"
            for field in ("turn", "response"):
                assert found[field] == answer.json[field]
        assert len({answer.json["turn_id"] for answer in answers}) == 3


def seen(answer: Answer) -> tuple[int, str, str]:
    """Status, cause, and the outcome, which header and document tell alike."""
    assert answer.headers["turn-outcome"] == answer.json["outcome"]
    return answer.status, answer.cause, answer.json["outcome"]


def fail(server: Server, fault: str) -> None:
    """From now on; see `tests.support.faults`."""
    (server.folder / "fault").write_text(fault)


def cure(server: Server) -> None:
    (server.folder / "fault").unlink(missing_ok=True)
