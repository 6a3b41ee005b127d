"""Named callers: each sees and touches only what is its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.client import encode, receive, send
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("callers")
    with Server(folder, server__tokens=["ann:a-token", "bob:b-token"]) as running:
        yield running


def test_the_same_name_is_another_conversation_for_another_caller(ann: Caller, bob: Caller) -> None:
    assert ann.chat("from ann").json["turn"] == 1
    assert bob.chat("from bob").json["turn"] == 1
    first, _ = bob("GET", "/history?count=0").json["messages"]
    assert first["content"] == "from bob"
    assert ann.chat("again").json["conversation_id"] == "default"


def test_another_callers_turn_is_not_found_whatever_is_asked_of_it(
    ann: Caller, bob: Caller, server: Server
) -> None:
    turn = ann.chat("until looked", "secret", prefer="respond-async").json["turn_id"]
    for method, path in (
        ("GET", f"/turns/{turn}"),
        ("DELETE", f"/turns/{turn}"),
        ("GET", f"/turns/{turn}/events"),
    ):
        theirs, nobodys = bob(method, path), bob(method, path.replace(turn, "0" * 32))
        assert theirs.status == 404
        assert theirs.body == nobodys.body  # Not even whether there is such a turn.
    assert ann("GET", f"/turns/{turn}").json["state"] == "running"
    server.let_on("looked")


def test_another_callers_conversation_is_not_found(ann: Caller, bob: Caller) -> None:
    ann.chat("hello", "private")
    assert ann("GET", "/conversations/private").json["turns"] == 1
    for method in ("GET", "DELETE"):
        theirs = bob(method, "/conversations/private")
        assert (theirs.status, theirs.cause) == (404, "no-such-conversation")
    assert bob("GET", "/history?count=0&conversation_id=private").json["messages"] == []
    listed = bob("GET", "/conversations").json["conversations"]
    assert "private" not in {each["conversation_id"] for each in listed}
    assert ann("DELETE", "/conversations/private").status == 204


def test_keys_of_two_callers_do_not_meet(ann: Caller, bob: Caller) -> None:
    one = ann.chat("mine", "keys", idempotency_key="k").json
    two = bob.chat("other", "keys", idempotency_key="k").json
    assert one["turn_id"] != two["turn_id"]


@pytest.mark.parametrize("conversation", ["ann/private", "ann%2Fprivate", "../ann/private"])
def test_no_spelling_of_an_id_reaches_another_callers(bob: Caller, conversation: str) -> None:
    assert bob.chat("hello", conversation).status == 422
    assert bob("GET", f"/history?conversation_id={conversation}").status == 422
    assert bob("GET", f"/conversations/{conversation}").status in (404, 422)


def test_a_stranger_is_not_let_in(server: Server) -> None:
    for path in ("/turns/x", "/turns/x/events", "/conversations", "/history"):
        with send(server.port, encode("GET", path)) as connection:
            assert receive(connection).status == 401


def test_tokens_may_be_a_table(folder: Path) -> None:
    (folder / "runner.toml").write_text('[server.tokens]\nann = "a-token"\nbob = "b-token"\n')
    with Server(folder) as server:
        assert Caller(server, "a-token").chat("hello").status == 200
        assert Caller(server, "b-token").chat("hello").json["turn"] == 1
        assert Caller(server, "c-token").chat("hello").status == 401


def test_callers_without_names_share_their_conversations(folder: Path) -> None:
    with Server(folder, server__tokens=["one", "two"]) as server:
        assert Caller(server, "one").chat("hello").json["turn"] == 1
        assert Caller(server, "two").chat("hello").json["turn"] == 2


def test_an_agent_with_one_history_is_not_shared_by_named_callers(folder: Path) -> None:
    with pytest.raises(AssertionError, match="one object with one history"):
        Server(
            folder, target="tests.support.agents:counter", server__tokens=["ann:a", "bob:b"]
        ).start()
