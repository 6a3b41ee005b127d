"""Idempotency keys: the same message under the same key is one turn. I-19"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import client
from tests.support.server import Server


def calls(server: Server, message: str) -> int:
    return server.calls().count(f"began {message}")


def until_in_flight(server: Server, requests: int) -> None:
    """Until as many are being answered, beside the one that asks for that."""
    client.until(
        lambda: server.health()["requests_in_flight"] == requests + 1, f"{requests} are in flight"
    )


def test_a_later_duplicate_gets_the_stored_reply(server: Server) -> None:
    first = server.chat("once", "k1", idempotency_key="a")
    again = server.chat("once", "k1", idempotency_key="a")
    assert again.body == first.body
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert calls(server, "once") == 1


def test_concurrent_duplicates_wait_for_the_one_turn(server: Server) -> None:
    one = [lambda: server.chat("sleep 0.3 dup", "k2", idempotency_key="a")] * 8
    answers = client.together(one)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert calls(server, "sleep 0.3 dup") == 1


def test_a_duplicate_attaches_while_the_first_one_waits(server: Server) -> None:
    blocker = server.ask("until k3", "k3")
    first = server.ask("waits", "k3", idempotency_key="a")
    assert server.turn(first)["state"] == "waiting"
    with client.send(server.port, client.chat("waits", "k3", idempotency_key="a")) as again:
        until_in_flight(server, 1)
        server.let_on("k3")
        assert client.receive(again).json["turn_id"] == first
    assert server.turn(blocker)["state"] == "answered"
    assert calls(server, "waits") == 1


def test_another_message_under_the_same_key_is_refused(server: Server) -> None:
    server.chat("one", "k4", idempotency_key="a")
    other = server.chat("two", "k4", idempotency_key="a")
    assert (other.status, other.cause) == (422, "idempotency-key-reused")
    assert calls(server, "two") == 0


def test_a_key_counts_within_its_conversation(server: Server) -> None:
    one = server.chat("hello", "k5", idempotency_key="a").json
    two = server.chat("hello", "k6", idempotency_key="a").json
    assert one["turn_id"] != two["turn_id"]


def test_a_failure_is_replayed_for_the_agent_was_called(server: Server) -> None:
    first = server.chat("raise KeyError", "k7", idempotency_key="a")
    again = server.chat("raise KeyError", "k7", idempotency_key="a")
    assert (first.status, again.status) == (502, 502)
    assert first.json["turn_id"] == again.json["turn_id"]


def test_a_turn_that_never_started_leaves_its_key_free(server: Server) -> None:
    server.ask("until k8", "k8")
    expired = server.chat("later", "k8", idempotency_key="a", turn_deadline_ms="50")
    assert expired.json["outcome"] == "not_started"
    cancelled = server.ask("later", "k8", idempotency_key="a")
    server.cancel(cancelled)
    server.let_on("k8")
    assert server.chat("later", "k8", idempotency_key="a").status == 200
    assert calls(server, "later") == 1


def test_the_first_client_may_leave_while_another_waits(server: Server) -> None:
    blocker = server.ask("until k9", "k9")
    leaves = client.send(server.port, client.chat("stays", "k9", idempotency_key="a"))
    server.until_depth(1)
    with client.send(server.port, client.chat("stays", "k9", idempotency_key="a")) as waits:
        until_in_flight(server, 2)
        leaves.close()
        until_in_flight(server, 1)
        server.let_on("k9")
        assert client.receive(waits).status == 200
    assert server.turn(blocker)["state"] == "answered"


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "a\tb"])
def test_a_key_is_1_to_255_printable_characters(server: Server, key: str) -> None:
    answer = server.chat("hello", idempotency_key=key)
    assert (answer.status, answer.cause) == (400, "malformed-request")


def test_keys_survive_a_kill(folder: Path) -> None:
    with Server(folder, store__url="sqlite:///x.db") as server:
        first = server.chat("once", idempotency_key="a")
        failed = server.chat("raise KeyError", idempotency_key="b")
        running = server.ask("hang-at-first", idempotency_key="c")
        server.until_called("hang-at-first")
        server.kill()
        server.start()
        again = server.chat("once", idempotency_key="a")
        assert (again.status, again.json["response"]) == (200, first.json["response"])
        assert again.json["turn"] == 1
        assert server.chat("twice", idempotency_key="a").status == 422
        replayed = server.chat("raise KeyError", idempotency_key="b")
        assert (replayed.status, replayed.json["turn_id"]) == (502, failed.json["turn_id"])
        resumed = server.chat("hang-at-first", idempotency_key="c").json
        assert (resumed["turn_id"], resumed["attempt"]) == (running, 2)
        assert calls(server, "once") == 1


def test_keys_are_bounded_in_number(folder: Path) -> None:
    with Server(folder, store__keep_turns=3) as server:
        for number in range(5):
            server.chat("hello", idempotency_key=f"key {number}")
        again = [server.chat("hello", idempotency_key=f"key {number}") for number in (4, 0)]
        assert ["idempotent-replayed" in answer.headers for answer in again] == [True, False]


def test_keys_are_bounded_in_age(folder: Path) -> None:
    with Server(folder, store__keep_turns_s=0.2) as server:
        first = server.chat("hello", idempotency_key="a").json
        client.until(
            lambda: server.chat("hello", idempotency_key="a").json["turn_id"] != first["turn_id"],
            "the key is forgotten",
        )
