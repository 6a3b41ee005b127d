"""Who sees what: callers their own, operators everyone's, and texts only where that is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.look import Look
from tests.support.server import Knobs, Server

TOKENS = ["ann:a-token", "bob:b-token", "op:o-token"]


@pytest.fixture(scope="module")
def server(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, operators = tmp_path_factory.mktemp("sight"), ["op"]
    with Server(folder, server__tokens=TOKENS, server__operators=operators) as running:
        yield running


@pytest.fixture
def operator(server: Server) -> Caller:
    return Caller(server, "o-token")


def held(caller: Caller, name: str) -> str:
    """A turn that runs until FILE is there."""
    turn = caller.chat(f"until {name}", name, prefer="respond-async").json["turn_id"]
    assert isinstance(turn, str)
    return turn


def lines(caller: Caller) -> list[Any]:
    shown: list[Any] = caller("GET", "/view").json["lines"]
    return shown


def test_without_a_token_nothing_is_seen(server: Server) -> None:
    for path in ("/view", "/view/settings"):
        assert server.request("GET", path).status == 401


def test_a_caller_sees_its_own_turns_alone(ann: Caller, bob: Caller, server: Server) -> None:
    held(ann, "anns")
    server.until_called("until anns")
    (line,) = lines(ann)
    assert (line["conversation"], line["turns"][0]["message"]) == ("anns", "until anns")
    assert lines(bob) == []
    assert bob("GET", "/view").json["load"]["running"] == 0
    server.let_on("anns")


def test_a_caller_is_told_of_its_own_turns_alone(ann: Caller, bob: Caller, server: Server) -> None:
    with Look(server.port, "b-token") as look:
        look.until_seen(lambda one: True)
        theirs = ann.chat("a secret of ann").json["turn_id"]
        own = bob.chat("hello").json["turn_id"]
        look.until_seen(lambda one: own in one.marks)
        assert theirs not in look.marks
        assert "secret" not in str(look.seen)


def test_an_operator_sees_everyones_turns_without_their_texts(
    ann: Caller, operator: Caller, server: Server
) -> None:
    with Look(server.port, "o-token") as look:
        look.until_seen(lambda one: one.seen["you"]["everyone"])
        turn = held(ann, "watched")
        look.until_seen(lambda one: bool(one.turns("watched", "ann")))
        server.let_on("watched")
        look.until_seen(lambda one: turn in one.marks)
        assert "message" not in look.marks[turn]
        assert "until watched" not in str(look.seen)


def test_an_operator_sees_its_own_texts(operator: Caller, server: Server) -> None:
    held(operator, "mine")
    (line,) = (one for one in lines(operator) if one["caller"] == "op")
    assert line["turns"][0]["message"] == "until mine"
    server.let_on("mine")


def test_an_operator_cancels_anybodys_turn(ann: Caller, operator: Caller) -> None:
    turn = held(ann, "stopped")
    cancelled = operator("DELETE", f"/turns/{turn}")
    assert cancelled.status == 200
    assert cancelled.json["state"] == "cancelled"
    assert ann("GET", f"/turns/{turn}").json["state"] == "cancelled"


def test_an_operator_that_cancels_too_late_is_not_told_the_answer(
    ann: Caller, operator: Caller
) -> None:
    turn = ann.chat("what only ann may read").json["turn_id"]
    late = operator("DELETE", f"/turns/{turn}")
    assert late.json["state"] == "answered"
    assert b"only ann" not in late.body


def test_an_operator_reads_nothing_else_of_others(ann: Caller, operator: Caller) -> None:
    turn = ann.chat("hello", "private").json["turn_id"]
    for path in (f"/turns/{turn}", f"/turns/{turn}/events", "/conversations/private"):
        assert operator("GET", path).status == 404


def test_a_caller_cannot_cancel_anothers_turn(ann: Caller, bob: Caller, server: Server) -> None:
    turn = held(ann, "kept")
    assert bob("DELETE", f"/turns/{turn}").status == 404
    server.let_on("kept")


def test_settings_are_for_operators(ann: Caller, operator: Caller) -> None:
    assert ann("GET", "/view/settings").status == 404
    shown = operator("GET", "/view/settings")
    assert shown.status == 200
    assert b"a-token" not in shown.body


def test_texts_are_shown_where_the_settings_allow_it(tmp_path: Path) -> None:
    allowed: Knobs = {"server__operators": ["op"], "server__operators_see_texts": True}
    with Server(tmp_path, server__tokens=TOKENS, **allowed) as server:
        ann, operator = Caller(server, "a-token"), Caller(server, "o-token")
        held(ann, "read")
        (line,) = lines(operator)
        assert line["turns"][0]["message"] == "until read"


def test_with_one_token_for_all_everything_is_seen(tmp_path: Path) -> None:
    with Server(tmp_path, server__tokens=["shared"]) as server:
        one = Caller(server, "shared")
        held(one, "ours")
        (line,) = lines(one)
        assert line["turns"][0]["message"] == "until ours"
        assert one("GET", "/view/settings").status == 200


def test_an_operator_without_a_token_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    unknown = Server(tmp_path, server__tokens=TOKENS, server__operators=["opp"])
    status, said = unknown.fail()
    assert status == 2
    assert "opp" in said
