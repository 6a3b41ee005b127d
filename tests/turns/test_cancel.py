"""`DELETE /turns/{id}`: stop a turn that waits or runs."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.support import client
from tests.support.events import Stream
from tests.support.server import Server


def test_a_waiting_turn_is_cancelled_at_once_and_never_runs(server: Server) -> None:
    """I-10"""
    running = server.ask("until c1", "c1")
    waiting, behind = server.ask("never", "c1"), server.ask("behind", "c1")
    answer = server.cancel(waiting)
    assert (answer.status, answer.json["state"]) == (200, "cancelled")
    assert answer.json["outcome"] == "not_started"
    assert server.turn(behind)["position"] == 1
    server.let_on("c1")
    server.until_ended(running)
    assert server.until_ended(behind)["turn"] == 2
    assert "began never" not in server.calls()


def test_a_running_turn_is_stopped_and_rolled_back(server: Server) -> None:
    """I-11"""
    running = server.ask("hang", "c2")
    server.until_called("hang")
    answer = server.cancel(running).json
    assert (answer["state"], answer["outcome"], answer["fenced"]) == (
        "cancelled",
        "rolled_back",
        False,
    )
    assert server.chat("next", "c2").json["turn"] == 1


def test_a_thread_that_cannot_be_stopped_keeps_its_conversation_and_says_so(
    folder: Path,
) -> None:
    """I-11"""
    with Server(folder, target="tests.support.agents:threaded") as server:
        running = server.ask("until next waits")
        server.until_called("until next waits")
        answer = server.cancel(running).json
        assert (answer["state"], answer["fenced"]) == ("cancelled", True)
        assert server.health()["fenced"] == 1
        assert server.chat("another", "other").status == 200
        with client.send(server.port, client.chat("next")) as following:
            server.until_depth(1)
            server.let_on("next waits")
            assert client.receive(following).json["turn"] == 1
        assert server.calls().index("ended until next waits") < server.calls().index("began next")
        assert server.turn(running)["fenced"] is False


def test_whoever_waits_for_a_cancelled_turn_is_told(server: Server) -> None:
    turn = server.ask("hang told", "c3")
    server.until_called("hang told")
    with Stream(server.port, turn=turn) as stream:
        stream.until("started")
        server.cancel(turn)
        last = stream.rest()[-1]
    assert (last.kind, last.data["status"]) == ("failed", 409)


def test_the_client_that_posted_it_gets_409(server: Server) -> None:
    with Stream(server.port, "hang posted", "c4", idempotency_key="c4") as stream:
        turn = stream.until("started").data["turn_id"]
        answers: list[client.Answer] = []
        waiter = threading.Thread(
            target=lambda: answers.append(server.chat("hang posted", "c4", idempotency_key="c4"))
        )
        waiter.start()
        server.cancel(turn)
        waiter.join()
    assert (answers[0].status, answers[0].cause) == (409, "turn-cancelled")
    assert answers[0].json["outcome"] == "rolled_back"


def test_a_turn_that_has_ended_stays_as_it_is(server: Server) -> None:
    turn = server.chat("hello", "c5").json["turn_id"]
    answer = server.cancel(turn)
    assert (answer.status, answer.json["state"]) == (200, "answered")
    gone = server.ask("hang twice", "c5")
    assert server.cancel(gone).json["state"] == "cancelled"
    assert server.cancel(gone).json["state"] == "cancelled"
