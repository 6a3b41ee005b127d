"""Nobody is given a wrong answer: keys, wishes, deletions and bounds hold under attack."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.support import client
from tests.support.caller import Caller
from tests.support.server import Server

TOKENS = ["ann:a-token", "bob:b-token"]
STORES = ["memory:", "sqlite:///x.db"]
MEMORY: list[Any] = [
    {"store__memory_turns": 20},
    {"store__memory_bytes": 50_000},
]


# 7: one caller's flood costs another nothing that is its own. I-19, I-29


@pytest.mark.parametrize("url", STORES)
def test_a_flood_of_keys_pushes_out_no_other_callers(folder: Path, url: str) -> None:
    with two_callers(folder, store__url=url, store__keep_turns=20) as (server, ann, bob):
        bobs = ask_with_keys(bob, 5)
        ask_with_keys(ann, 50)
        assert ask_with_keys(bob, 5) == bobs
        assert server.calls().count("began hello 0") == 2  # Once for each of them.


def test_a_flood_of_keys_pushes_out_no_other_callers_in_the_store(folder: Path) -> None:
    knobs = {"store__url": "sqlite:///x.db", "store__keep_turns": 20}
    with two_callers(folder, **knobs) as (server, ann, bob):
        bobs = ask_with_keys(bob, 5)
        failed = bob.chat("raise KeyError", prefer="respond-async").json["turn_id"]
        client.until(lambda: state(bob, failed) == "failed", "it has failed")
        ask_with_keys(ann, 50)
        server.kill()
        server.start()
        assert state(bob, failed) == "failed"
        assert ask_with_keys(bob, 5) == bobs


@pytest.mark.parametrize("url", STORES)
def test_the_key_of_a_turn_that_lives_is_never_pushed_out(folder: Path, url: str) -> None:
    with Server(folder, store__url=url, store__keep_turns=5, store__keep_turns_s=0.5) as server:
        running = server.ask("until let on", idempotency_key="runs")
        waiting = server.ask("waits", idempotency_key="waits")
        for number in range(20):
            server.chat("hello", "other", idempotency_key=str(number))
        ended = server.chat("hello", "other", idempotency_key="last").json["turn_id"]
        client.until(
            lambda: server.chat("hello", "other", idempotency_key="last").json["turn_id"] != ended,
            "keys of turns that have ended are too old",
        )
        assert server.ask("until let on", idempotency_key="runs") == running
        assert server.ask("waits", idempotency_key="waits") == waiting
        assert server.chat("other", idempotency_key="waits").cause == "idempotency-key-reused"
        server.let_on("let on")
        server.until_ended(waiting)
        assert server.calls().count("began until let on") == 1


def test_after_10_050_keyed_turns_a_turn_that_lives_has_its_key(folder: Path) -> None:
    with two_callers(folder, store__url="memory:") as (server, ann, bob):
        running = ann.chat("until x", idempotency_key="k", prefer="respond-async").json["turn_id"]
        kept = bob.chat("hello", idempotency_key="k").json["turn_id"]
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
            for number in range(10_050):
                headers = {
                    "content-type": "application/json",
                    "authorization": "Bearer a-token",
                    "idempotency-key": str(number),
                }
                body = json.dumps({"message": "hi", "conversation_id": "flood"})
                connection.request("POST", "/chat", body, headers)
                assert connection.getresponse().read()
        again = ann.chat("until x", idempotency_key="k", prefer="respond-async")
        assert again.json["turn_id"] == running
        assert bob.chat("hello", idempotency_key="k").json["turn_id"] == kept
        server.let_on("x")


def test_a_flood_of_turns_pushes_out_no_other_callers_ended_turns(folder: Path) -> None:
    with two_callers(folder, server__resume_turns=20) as (_, ann, bob):
        # A failed turn of which nothing was promised is in memory alone.
        bobs = [bob.chat("raise KeyError").json["turn_id"] for _ in range(5)]
        anns = [ann.chat("raise KeyError").json["turn_id"] for _ in range(50)]
        assert [state(bob, turn) for turn in bobs] == ["failed"] * 5
        assert [state(ann, turn) for turn in anns[-15:]] == ["failed"] * 15
        assert state(ann, anns[0]) is None


def test_long_turns_push_out_no_other_callers_ended_turns(folder: Path) -> None:
    with two_callers(folder, server__resume_bytes=100_000) as (_, ann, bob):
        bobs = [bob.chat("raise KeyError").json["turn_id"] for _ in range(5)]
        for _ in range(5):
            ann.chat("x" * 90_000)
        assert [state(bob, turn) for turn in bobs] == ["failed"] * 5


@pytest.mark.parametrize("knobs", MEMORY)
def test_a_flood_pushes_out_no_other_callers_history(folder: Path, knobs: dict[str, Any]) -> None:
    with two_callers(folder, store__url="memory:", **knobs) as (_, ann, bob):
        for number in range(5):
            bob.chat(f"hello {number}", f"b{number}")
        for number in range(100):
            ann.chat("x" * 1_000, f"a{number}")
        shown = bob("GET", "/conversations").json
        assert shown["total"] == 5
        assert bob("GET", "/history?count=0&conversation_id=b0").json["messages"]
        assert bob.chat("again", "b0").json["turn"] == 2


# 8: what the store has not forgotten, nobody has. I-19, I-23


def test_a_conversation_that_cannot_be_deleted_has_forgotten_nothing(folder: Path) -> None:
    with Server(folder, store__url="sqlite:///x.db") as server:
        first = server.chat("once", "c", idempotency_key="k").json
        failed = server.chat("raise KeyError", "c", idempotency_key="f").json
        with locked(folder / "x.db"):
            refused = server.request("DELETE", "/conversations/c")
        assert (refused.status, refused.cause) == (503, "store-unavailable")
        for _ in range(2):
            again = server.chat("once", "c", idempotency_key="k").json
            assert (again["turn_id"], again["turn"]) == (first["turn_id"], 1)
            again = server.chat("raise KeyError", "c", idempotency_key="f").json
            assert again["turn_id"] == failed["turn_id"]
            assert len(server.history("c")) == 2
            server.kill()
            server.start()
        assert server.calls().count("began once") == 1


def test_a_conversation_that_was_deleted_has_forgotten_its_keys(folder: Path) -> None:
    with Server(folder, store__url="sqlite:///x.db") as server:
        server.chat("once", "c", idempotency_key="k")
        assert server.request("DELETE", "/conversations/c").status == 204
        server.kill()
        server.start()
        again = server.chat("once", "c", idempotency_key="k")
        assert again.json["turn"] == 1
        assert "idempotent-replayed" not in again.headers


def test_a_conversation_whose_turn_is_being_kept_is_not_deleted(folder: Path) -> None:
    with Server(folder, store__url="sqlite:///x.db") as server:
        turn = server.ask("until let on", "c", idempotency_key="k")
        server.until_called("until let on")
        with locked(folder / "x.db"):
            server.let_on("let on")
            client.until(lambda: "ended until let on" in server.calls(), "the agent has ended")
            refused = server.request("DELETE", "/conversations/c")
        assert (refused.status, refused.cause) == (409, "conversation-busy")
        assert server.until_ended(turn)["state"] == "answered"
        assert len(server.history("c")) == 2
        again = server.chat("until let on", "c", idempotency_key="k")
        assert again.json["turn_id"] == turn


# 9: a turn has the most lasting wish of all who asked. I-11

CONTINUE = {
    "plain": {"prefer": "on-disconnect=continue"},
    "stream": {"prefer": "on-disconnect=continue", "accept": "text/event-stream"},
    "wait": {"prefer": "on-disconnect=continue, wait=30"},
}


@pytest.mark.parametrize("kind", CONTINUE)
@pytest.mark.parametrize("leaving", list(permutations(("continue", "cancel", "drop-waiting"))))
def test_a_turn_goes_on_if_one_of_its_clients_wished_so(
    server: Server, kind: str, leaving: tuple[str, ...]
) -> None:
    name = f"{kind} {' '.join(leaving)}"
    lasting, plain = CONTINUE[kind], CONTINUE[kind]["prefer"]
    for coming in (leaving, leaving[::-1]):
        name += "."
        conversation = name.replace(" ", "-")
        server.ask(f"until {name}", conversation)
        clients = {}
        for number, wish in enumerate(coming):
            prefer = plain.replace("continue", wish)
            headers = {**lasting, "prefer": prefer, "idempotency_key": "k"}
            asked = client.chat(f"stays {name}", conversation, **headers)
            clients[wish] = client.send(server.port, asked)
            until_in_flight(server, number + 1)
        for number, wish in enumerate(leaving):
            clients[wish].close()
            until_in_flight(server, len(leaving) - number - 1)
        server.let_on(name)
        server.until_called(f"stays {name}")
        server.until_quiet()


@pytest.mark.parametrize("kind", CONTINUE)
def test_a_turn_that_nobody_wished_to_continue_is_dropped(server: Server, kind: str) -> None:
    server.ask(f"until dropped {kind}", f"dropped-{kind}")
    clients = []
    for wish in ("cancel", "drop-waiting", "cancel"):
        headers = {**CONTINUE[kind], "prefer": f"on-disconnect={wish}", "idempotency_key": "k"}
        asked = client.chat(f"dropped {kind}", f"dropped-{kind}", **headers)
        clients.append(client.send(server.port, asked))
        until_in_flight(server, len(clients))
    for connection in clients:
        connection.close()
    server.until_depth(0)
    server.let_on(f"dropped {kind}")
    server.until_quiet()
    assert f"began dropped {kind}" not in server.calls()


# 12: small ones.


def test_one_of_several_merged_turns_can_be_cancelled_alone(folder: Path) -> None:
    with Server(folder, strategy__name="merge") as server:
        server.ask("until first")
        one, other = server.ask("until both"), server.ask("until both")
        server.let_on("first")
        server.until_called("until both\n\nuntil both".splitlines()[0])
        answer = server.cancel(one).json
        assert (answer["state"], answer["outcome"]) == ("cancelled", "unknown")
        assert server.turn(other)["state"] == "running"
        server.let_on("both\n\nuntil both")
        assert server.until_ended(other)["state"] == "answered"


@pytest.mark.parametrize("chosen", ["always", "by the turn"])
def test_merged_messages_are_not_longer_than_one_may_be(folder: Path, chosen: str) -> None:
    knobs: dict[str, Any] = {"strategy__name": "merge"}
    headers = {}
    if chosen == "by the turn":
        knobs = {"strategy__name": "interrupt", "strategy__per_turn": ["merge"]}
        headers = {"turn_strategy": "merge"}
    with Server(folder, server__max_message_bytes=100_000, **knobs) as server:
        server.ask("until let on")
        turns = [server.ask(f"{number} " + "x" * 30_000, **headers) for number in range(7)]
        server.let_on("let on")
        numbers = [server.until_ended(turn)["turn"] for turn in turns]
        assert numbers == [2, 2, 2, 3, 3, 3, 4]
        assert max(len(said["content"]) for said in server.history()[2::2]) <= 100_000


@pytest.mark.parametrize(
    "tokens", [["ann:s3cret", "bob:s3cret"], ["ann:s3cret", "s3cret"], ["s3cret", "ann:s3cret"]]
)
def test_a_token_that_two_callers_share_is_refused_at_start(
    folder: Path, tokens: list[str]
) -> None:
    with pytest.raises(AssertionError, match=r"gives one token to .*'ann'") as refusal:
        Server(folder, server__tokens=tokens).start()
    assert "s3cret" not in str(refusal.value)


def test_a_caller_may_have_two_tokens(folder: Path) -> None:
    with Server(folder, server__tokens=["ann:old", "ann:new"]) as server:
        assert Caller(server, "old").chat("hello").json["turn"] == 1
        assert Caller(server, "new").chat("hello").json["turn"] == 2


# What these tests share.


@contextmanager
def two_callers(folder: Path, **knobs: Any) -> Iterator[tuple[Server, Caller, Caller]]:
    with Server(folder, server__tokens=TOKENS, **knobs) as server:
        yield server, Caller(server, "a-token"), Caller(server, "b-token")


def ask_with_keys(caller: Caller, count: int) -> list[str]:
    """The ids of the turns that were asked under keys that are the same for each caller."""
    answers = [caller.chat(f"hello {n}", idempotency_key=f"key {n}") for n in range(count)]
    return [answer.json["turn_id"] for answer in answers]


def state(caller: Caller, turn: str) -> str | None:
    answer = caller("GET", f"/turns/{turn}")
    return answer.json["state"] if answer.status == 200 else None


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Nobody else can write it."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def until_in_flight(server: Server, requests: int) -> None:
    """Until as many are being answered, beside the one that asks for that."""
    client.until(
        lambda: server.health()["requests_in_flight"] == requests + 1, f"{requests} are in flight"
    )
