"""What a client may say about a busy conversation, over HTTP; interrupt and merge on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import client
from tests.support.events import Stream, text_of
from tests.support.server import Server

TELLER = "tests.support.agents:teller"


@pytest.fixture(scope="module")
def server(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    every = ["queue", "enqueue", "reject", "interrupt", "rollback", "merge"]
    folder = tmp_path_factory.mktemp("busy")
    with Server(folder, target=TELLER, strategy__per_turn=every) as running:
        yield running


def test_an_interrupted_turn_is_kept_with_its_words_and_told_so(server: Server) -> None:
    with Stream(server.port, "1 0 hang", "i1") as stream:
        stream.until("delta")
        newest = server.chat("1 0", "i1", turn_strategy="interrupt")
        last = stream.rest()[-1]
    assert (last.kind, last.data["interrupted"]) == ("done", True)
    assert (last.data["response"], last.data["turn"]) == ("piece 0, ", 1)
    assert newest.json["turn"] == 2
    assert server.turn(last.data["turn_id"])["state"] == "interrupted"
    logged = {line.get("turn_id"): line for line in server.logged}
    assert logged[last.data["turn_id"]]["outcome"] == "interrupted"
    assert server.history("i1")[1]["content"] == "piece 0, "


def test_a_turn_may_be_rolled_back_for_the_newest(server: Server) -> None:
    with Stream(server.port, "1 0 hang", "i2") as stream:
        stream.until("delta")
        assert server.chat("1 0", "i2", turn_strategy="rollback").json["turn"] == 1
        last = stream.rest()[-1]
    assert (last.kind, last.data["status"], last.data["outcome"]) == ("failed", 409, "rolled_back")
    assert last.data["type"].endswith("turn-interrupted")


def test_a_turn_may_refuse_to_wait(server: Server) -> None:
    turn = server.ask("1 0 hang", "i3")
    refused = server.chat("1 0", "i3", turn_strategy="Reject")
    assert (refused.status, refused.cause) == (409, "conversation-busy")
    server.cancel(turn)


def test_merged_turns_share_one_reply_and_one_place_in_the_history(folder: Path) -> None:
    with Server(folder, strategy__per_turn=["merge"]) as server:
        server.ask("until three wait")

        def let_on() -> client.Answer:
            server.until_depth(3)
            server.let_on("three wait")
            return server.request("GET", "/health")

        hello = [lambda: server.chat("hello", turn_strategy="merge")] * 3
        answers = client.together([*hello, let_on])[:3]
        assert {answer.json["turn"] for answer in answers} == {2}
        assert len({answer.json["turn_id"] for answer in answers}) == 3
        said = server.history()
        assert len(said) == 4
        assert said[2]["content"] == "hello\n\nhello\n\nhello"
        for answer in answers:
            with Stream(server.port, turn=answer.json["turn_id"]) as stream:
                assert text_of(stream.rest()) == answer.json["response"]


def test_a_server_may_allow_none_or_some(folder: Path) -> None:
    with Server(folder, strategy__per_turn=["reject"]) as server:
        assert server.chat("hello", turn_strategy="reject").status == 200
        refused = server.chat("hello", turn_strategy="merge")
        assert (refused.status, refused.cause) == (400, "malformed-request")
    with Server(folder) as server:
        refused = server.chat("hello", turn_strategy="reject")
        assert refused.status == 400
        assert "allowed: queue." in refused.json["detail"]
        assert "per_turn" in refused.json["detail"]


@pytest.mark.parametrize(
    "strategy", ["queue", "lock", "interrupt", "loadtests.controls.unprotected:Unprotected"]
)
def test_a_turn_may_name_the_strategy_of_its_server(folder: Path, strategy: str) -> None:
    """It asks for what it would get anyway."""
    with Server(folder, "--strategy", strategy) as server:
        assert server.chat("hello", turn_strategy=strategy).status == 200
        assert server.chat("hello", turn_strategy=f" {strategy.upper()}").status == 200


@pytest.mark.parametrize("strategy", ["lock", "loadtests.controls.unprotected:Unprotected"])
def test_a_strategy_with_conversations_of_its_own_allows_no_choice(
    folder: Path, strategy: str
) -> None:
    with pytest.raises(AssertionError, match="conversations of another strategy are its own"):
        Server(folder, "--strategy", strategy, strategy__per_turn=["queue"]).start()


@pytest.mark.parametrize("said", ["keep", "rollback"])
def test_interrupt_may_be_the_strategy_of_the_server(folder: Path, said: str) -> None:
    (folder / "runner.toml").write_text(
        f'[strategy]\nname = "interrupt"\noptions = {{ said = "{said}" }}\n'
    )
    with Server(folder, target=TELLER) as server:
        first = server.ask("1 0 hang")
        client.until(lambda: server.turn(first)["state"] == "running", "it runs")
        with Stream(server.port, turn=first) as stream:
            stream.until("delta")
        kept = said == "keep"
        assert server.chat("1 0").json["turn"] == (2 if kept else 1)
        turn = server.turn(first)
        assert turn["state"] == "interrupted"
        assert ("response" in turn) is kept


def test_merged_turns_in_the_background_survive_a_kill_each(folder: Path) -> None:
    """I-18"""
    with Server(folder, "--strategy", "merge", store__url="sqlite:///x.db") as server:
        turns = [server.ask("until back"), server.ask("sleep 0 a"), server.ask("sleep 0 b")]
        server.until_called("until back")
        server.kill()
        server.start()
        server.let_on("back")
        ended = [server.until_ended(turn) for turn in turns]
        assert {turn["state"] for turn in ended} == {"answered"}
        assert [turn["turn"] for turn in ended][1:] == [2, 2]
        server.kill()
        server.start()
        assert [server.turn(turn)["response"] for turn in turns] == [
            turn["response"] for turn in ended
        ]


def test_the_most_urgent_is_served_first(folder: Path) -> None:
    with Server(folder) as server:
        server.ask("until all wait")
        later = server.ask("later", priority="u=7")
        usual = server.ask("usual")
        urgent = server.ask("urgent", priority="u=0, i")
        assert [server.turn(t)["position"] for t in (urgent, usual, later)] == [1, 2, 3]
        server.let_on("all wait")
        server.until_ended(later)
        began = [line for line in server.calls() if line.startswith("began")]
        assert began[1:] == ["began urgent", "began usual", "began later"]


@pytest.mark.parametrize("value", ["", "u=8", "u=-1", "u=x", "i", "u=3.5", "\xff"])
def test_a_priority_that_cannot_be_read_counts_as_none(server: Server, value: str) -> None:
    turn = server.chat("1 0", "odd", priority=value).json["turn_id"]
    assert server.turn(turn)["priority"] == 3
