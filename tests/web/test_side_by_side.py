"""`POST /view/side-by-side` over real sockets: one at a time, and nothing else hears of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.client import LIMIT_S, Answer, until
from tests.support.events import Event, Stream
from tests.support.server import Server

PATH = "/view/side-by-side"


class Shown(Stream):
    """Its events. Use it with `with`; leaving closes the connection."""

    def __init__(self, port: int, **headers: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
        self._connection.request(
            "POST", PATH, "{}", {"content-type": "application/json", **headers}
        )
        self.retries = []
        self.response = self._connection.getresponse()
        self.headers = dict(self.response.getheaders())


def ask(server: Server, content: object = b"{}", **headers: str) -> Answer:
    return server.request("POST", PATH, content, headers)


def begin(server: Server) -> Shown:
    """It is shown to us, once the server has seen that who saw it before has left."""
    shown = Shown(server.port)

    def is_ours() -> bool:
        nonlocal shown
        if shown.status != 200:
            shown.__exit__()
            shown = Shown(server.port)
        return shown.status == 200

    until(is_ours, "it is shown to us")
    return shown


@pytest.fixture(scope="module")
def seen(server: Server) -> Iterator[tuple[dict[str, Any], list[Event], dict[str, Any]]]:
    """Health before, all the events, health afterwards."""
    server.chat("mine")
    before = server.health()
    with begin(server) as shown:
        yield before, shown.rest(), server.health()


@pytest.mark.slow
def test_all_of_it_is_seen_up_to_its_end(seen: tuple[Any, list[Event], Any]) -> None:
    kinds = [event.kind for event in seen[1]]
    assert (kinds[0], kinds[-1], kinds.count("end")) == ("begin", "done", 6)
    assert seen[1][-2].data["at" if kinds[-2] == "lane" else "verdict"]


@pytest.mark.slow
def test_the_servers_own_figures_hear_nothing_of_it(seen: tuple[Any, Any, Any]) -> None:
    before, _, after = seen
    assert after["turns"] == before["turns"]
    assert after["service_s"] == before["service_s"]


@pytest.mark.slow
@pytest.mark.usefixtures("seen")
def test_its_turns_are_in_no_list_and_in_no_log(server: Server) -> None:
    assert server.request("GET", "/conversations").json["total"] == 1
    ended = [line["conversation_id"] for line in server.logged if line["event"] == "turn ended"]
    assert ended == ["default"]


def test_a_second_one_is_told_when_to_come_again(server: Server) -> None:
    with begin(server) as shown:
        shown.until("begin")
        answer = ask(server)
        assert (answer.status, answer.cause) == (429, "view-busy")
        assert 1 <= int(answer.headers["retry-after"]) <= 3


@pytest.mark.slow
def test_whoever_has_seen_its_end_may_ask_again_at_once(server: Server) -> None:
    with begin(server) as shown:
        shown.until("done")
        with Shown(server.port) as again:
            assert again.status == 200


def test_a_client_that_leaves_ends_it_for_the_next(server: Server) -> None:
    with begin(server) as shown:
        shown.until("lane")
    with begin(server) as shown:
        assert shown.until("begin").data["messages"]


def test_the_shutdown_of_the_server_ends_it(folder: Path) -> None:
    with Server(folder) as server, Shown(server.port) as shown:
        shown.until("lane")
        assert server.stop() == 0
        assert "done" not in [event.kind for event in shown]
        assert not [line for line in server.logged if line.get("level") in ("error", "warning")]


def test_where_there_are_tokens_it_needs_one(folder: Path) -> None:
    with Server(folder, server__tokens=["ann:a-token"]) as server:
        assert ask(server).status == 401
        with Shown(server.port, authorization="Bearer a-token") as shown:
            assert shown.status == 200


def test_who_was_refused_is_next_and_not_who_had_it_last(folder: Path) -> None:
    with Server(folder, server__tokens=["ann:a-token", "bob:b-token"]) as server:
        anns, bobs = "Bearer a-token", "Bearer b-token"
        with Shown(server.port, authorization=anns) as shown:
            shown.until("lane")
            assert ask(server, authorization=bobs).cause == "view-busy"
        ann = Caller(server, "a-token")
        until(lambda: ann("GET", "/health").json["requests_in_flight"] == 1, "the first has left")
        assert ask(server, authorization=anns).cause == "view-busy"
        with Shown(server.port, authorization=bobs) as shown:
            assert shown.status == 200


def test_without_the_page_it_is_not_there(folder: Path) -> None:
    with Server(folder, observability__page=False) as server:
        assert ask(server).status == 404


def test_no_get_begins_it(server: Server) -> None:
    assert server.request("GET", PATH).status == 405


@pytest.mark.parametrize(
    ("body", "headers", "cause"),
    [
        (b"", {}, "malformed-json"),
        (b"{", {}, "malformed-json"),
        (b"[]", {}, "wrong-field"),
        (b'{"messages": []}', {}, "wrong-field"),
        (b'{"a\\ud800/~": 1}', {}, "wrong-field"),
        (b"{}", {"content-type": "text/plain"}, "not-json"),
        (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, "not-json"),
        (b"{}" + b" " * 1_048_577, {}, "too-large"),
        (json.dumps({"a": 1}).encode("utf-16"), {}, "malformed-json"),
    ],
)
def test_a_body_that_is_wrong_begins_nothing(
    server: Server, body: bytes, headers: dict[str, str], cause: str
) -> None:
    assert ask(server, body, **headers).cause == cause
    assert ask(server, body, **headers).cause == cause, "nothing is being shown"
