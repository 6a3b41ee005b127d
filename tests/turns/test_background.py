"""Turns that go on without their client: accepted, written down, and run whatever happens."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.support import client
from tests.support.server import Server

COUNTING = "tests.support.agents:counting_attempts"


def test_a_turn_in_the_background_is_accepted_at_once_and_answered_later(server: Server) -> None:
    accepted = server.chat("until b1", "b1", prefer="respond-async")
    assert accepted.status == 202
    assert accepted.headers["preference-applied"] == "respond-async"
    turn_id = accepted.json["turn_id"]
    assert accepted.headers["location"] == f"/turns/{turn_id}"
    assert accepted.json["state"] == "running"
    assert server.turn(turn_id)["state"] == "running"
    server.let_on("b1")
    ended = server.until_ended(turn_id)
    assert (ended["state"], ended["turn"], ended["attempt"]) == ("answered", 1, 1)
    assert server.history("b1")[1]["content"] == ended["response"]


def test_a_waiting_turn_says_where_it_stands(server: Server) -> None:
    first, second, third = (server.ask("until b2", "b2") for _ in range(3))
    places = [server.turn(turn)["position"] for turn in (first, second, third)]
    assert places == [0, 1, 2]
    assert server.turn(third)["state"] == "waiting"
    server.let_on("b2")
    assert [server.until_ended(turn)["turn"] for turn in (first, second, third)] == [1, 2, 3]


def test_wait_answers_in_time_or_else_later(server: Server) -> None:
    quick = server.chat("hello", "b3", prefer="wait=20")
    assert (quick.status, quick.headers["preference-applied"]) == (200, "wait=20")
    slow = server.chat("until b3", "b3", prefer="wait=1")
    assert (slow.status, slow.json["state"]) == (202, "running")
    server.let_on("b3")
    assert server.until_ended(slow.json["turn_id"])["state"] == "answered"


@pytest.mark.parametrize("prefer", ["wait=soon", "respond-sync", ";;==,", "on-disconnect=perhaps"])
def test_a_preference_that_is_not_known_is_ignored(server: Server, prefer: str) -> None:
    answer = server.chat("hello", "b4", prefer=prefer)
    assert answer.status == 200
    assert "preference-applied" not in answer.headers


def test_a_failed_turn_can_be_asked_for_with_its_problem(server: Server) -> None:
    ended = server.until_ended(server.ask("raise ValueError", "b5"))
    assert (ended["state"], ended["outcome"]) == ("failed", "rolled_back")
    assert ended["problem"]["status"] == 502


def test_a_deadline_ends_a_turn_in_the_background_too(folder: Path) -> None:
    with Server(folder) as server:
        running = server.ask("hang", turn_deadline_ms="600")
        waiting = server.ask("late", turn_deadline_ms="100")
        assert server.until_ended(waiting)["outcome"] == "not_started"
        assert server.until_ended(running)["state"] == "expired"


def test_a_turn_that_is_not_known_is_not_found(server: Server) -> None:
    for method, path in (("GET", "/turns/x"), ("DELETE", "/turns/x"), ("GET", "/turns/x/events")):
        answer = server.request(method, path)
        assert (answer.status, answer.cause) == (404, "no-such-turn")


def test_any_answered_turn_can_be_asked_for(server: Server) -> None:
    answered = server.chat("hello", "b7").json
    turn = server.turn(answered["turn_id"])
    assert turn["response"] == answered["response"]
    assert turn["ran_ms"] == answered["ran_ms"]


# After the end of the process.


def test_accepted_turns_survive_a_kill_and_run_in_their_order(folder: Path) -> None:
    """I-18"""
    with Server(folder, target=COUNTING, store__url="sqlite:///x.db") as server:
        running = server.ask("hang-at-first")
        waiting = [server.ask(f"number {number}") for number in range(5)]
        client.until(lambda: len(server.calls()) == 1, "the first one runs")
        server.kill()
        server.start()
        ended = [server.until_ended(turn) for turn in (running, *waiting)]
        assert [turn["turn"] for turn in ended] == [1, 2, 3, 4, 5, 6]
        assert [turn["attempt"] for turn in ended] == [2, 1, 1, 1, 1, 1]
        assert '"attempt": 2' in ended[0]["response"]


def test_a_turn_that_was_running_may_be_reported_as_interrupted_instead(folder: Path) -> None:
    knobs = {"store__url": "sqlite:///x.db", "store__on_restart": "fail"}
    with Server(folder, target=COUNTING, **knobs) as server:
        running, waiting = server.ask("hang"), server.ask("hello")
        client.until(lambda: len(server.calls()) == 1, "the first one runs")
        server.kill()
        server.start()
        turn = server.turn(running)
        assert (turn["state"], turn["outcome"]) == ("interrupted", "rolled_back")
        assert turn["problem"]["type"].endswith("turn-interrupted")
        assert server.until_ended(waiting)["state"] == "answered"


def test_a_turn_that_kills_its_server_each_time_is_given_up(folder: Path) -> None:
    (folder / "deadly.py").write_text(
        "import os\nasync def agent(message, history):\n    os._exit(9)\n"
    )
    knobs = {"store__url": "sqlite:///x.db", "store__max_attempts": 2}
    with Server(folder, target="deadly:agent", **knobs) as server:
        turn = server.ask("die")
        for _ in range(2):
            server.wait()
            with suppress(AssertionError):  # It may be killed before it says where it serves.
                server.start()
        client.until(lambda: server.turn(turn)["state"] == "interrupted", "it is given up")
        assert server.turn(turn)["attempt"] == 2


def test_a_shutdown_leaves_turns_in_the_background_to_the_next_process(folder: Path) -> None:
    with Server(
        folder, target=COUNTING, store__url="sqlite:///x.db", server__drain_s=0.3
    ) as server:
        running, waiting = server.ask("hang-at-first"), server.ask("hello")
        client.until(lambda: len(server.calls()) == 1, "the first one runs")
        assert server.stop() == 0
        told = {line["turn_id"]: line["event"] for line in server.logged if "turn_id" in line}
        assert told == dict.fromkeys((running, waiting), "turn left for the next process")
        server.start()
        assert server.until_ended(running)["attempt"] == 2
        assert server.until_ended(waiting)["attempt"] == 1


def test_a_client_that_is_told_of_a_shutdown_may_ask_again(folder: Path) -> None:
    """I-17: what it was told did not run, does not run later either."""
    with Server(folder, store__url="sqlite:///x.db") as server:
        server.ask("until told")
        with client.send(server.port, client.chat("told", idempotency_key="k")) as told:
            server.until_depth(1)
            server.signal(signal.SIGTERM)
            answer = client.receive(told)
        server.let_on("told")
        assert (answer.status, answer.json["outcome"]) == (503, "not_started")
        assert server.wait() == 0
        server.start()
        server.until_quiet()
        assert "began told" not in server.calls()
        assert server.chat("told", idempotency_key="k").status == 200


def test_a_deadline_runs_on_while_the_server_is_down(folder: Path) -> None:
    with Server(folder, store__url="sqlite:///x.db") as server:
        server.ask("hang")
        late = server.ask("late", turn_deadline_ms="6000")
        server.kill()
        with closing(sqlite3.connect(folder / "x.db", isolation_level=None)) as db:
            db.execute("UPDATE accepted SET deadline_at = deadline_at - 60 WHERE id = ?", (late,))
        server.start()
        turn = server.turn(late)
        assert (turn["state"], turn["outcome"]) == ("expired", "not_started")


def test_nothing_is_promised_when_it_cannot_be_written(folder: Path) -> None:
    """I-23"""
    with Server(folder, store__url="sqlite:///x.db") as server:
        assert server.chat("hello").status == 200
        holder = sqlite3.connect(folder / "x.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        refused = server.chat("lost", prefer="respond-async")
        holder.execute("ROLLBACK")
        holder.close()
        assert (refused.status, refused.cause) == (503, "store-unavailable")
        assert refused.json["outcome"] == "not_started"
        assert "began lost" not in server.calls()
        server.until_ended(server.ask("found"))
        assert len(server.history()) == 4


# When the client leaves.


def test_a_client_may_say_what_becomes_of_its_turn_when_it_leaves(server: Server) -> None:
    """I-11"""
    runs = client.send(server.port, client.chat("until d1", "d1"))
    server.until_called("until d1")
    stays = client.send(server.port, client.chat("stays", "d1", prefer="on-disconnect=continue"))
    server.until_depth(1)
    stays.close()
    runs.close()
    server.let_on("d1")
    server.until_called("stays")
    server.until_quiet()
    cancelled = client.send(
        server.port, client.chat("hang forever", "d1", prefer="on-disconnect=cancel")
    )
    server.until_called("hang forever")
    cancelled.close()
    server.until_quiet()
    assert [said["content"] for said in server.history("d1")[::2]] == ["until d1", "stays"]


def test_what_is_honoured_is_said(server: Server) -> None:
    answer = server.chat("hello", "d2", prefer="on-disconnect=continue")
    assert answer.headers["preference-applied"] == "on-disconnect=continue"
