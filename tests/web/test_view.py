"""`GET /view`: whoever looks sees what happens, and nobody who looks holds anything up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runner.web.view import MOST_READERS
from strategies import registry
from tests.support.caller import Caller
from tests.support.client import connect, encode, read, until
from tests.support.events import Stream
from tests.support.look import Look
from tests.support.server import Knobs, Server

ROOMY: Knobs = {"strategy__max_waiting": 2_000, "strategy__max_waiting_per_conversation": 1_500}


@pytest.fixture(scope="module", params=registry.BUILT_IN)
def server(
    request: pytest.FixtureRequest, http: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("view")
    with Server(folder, strategy__name=request.param, store__url="memory:", **ROOMY) as running:
        yield running


def snapshot(server: Server) -> Any:
    return server.request("GET", "/view").json


def test_who_comes_is_told_first_all_that_can_be_seen(server: Server) -> None:
    server.ask("until seen", "first")
    server.until_called("until seen")
    with Look(server.port) as look:
        look.until_seen(lambda one: True)
        assert look.seen["whole"] is True
        (turn,) = look.turns("first")
        assert turn["state"] == "running"
        assert turn["message"] == "until seen"
        assert turn["started_at"] >= turn["accepted_at"]
        assert look.retries == ["1000"]
    server.let_on("seen")
    server.until_quiet()


def test_a_program_that_wants_no_stream_is_told_the_same_as_one_document(server: Server) -> None:
    server.until_quiet()
    with Look(server.port) as look:
        look.until_seen(lambda one: True)
        document = snapshot(server)
    assert document.keys() == look.seen.keys()
    assert document["ended"] == look.seen["ended"]


def test_what_is_counted_is_what_health_counts(server: Server) -> None:
    server.chat("raise ValueError", "counted")
    server.chat("hello", "counted")
    server.until_quiet()
    turns, shown = server.health()["turns"], snapshot(server)
    refused, accepted = turns.pop("refused_at_once"), turns.pop("accepted")
    assert shown["ended"] == turns
    assert sum(turns.values()) == accepted
    assert sum(shown["refused"].values()) == refused


def test_a_turns_life_is_told_as_it_happens(server: Server) -> None:
    with Look(server.port) as look:
        look.until_seen(lambda one: True)
        turn = server.ask("until told", "life")
        look.until_seen(lambda one: any(one["id"] == turn for one in look.turns("life")))
        server.let_on("told")
        look.until_seen(lambda one: turn in one.marks)
        mark = look.marks[turn]
        assert mark["state"] == "answered"
        assert mark["accepted_at"] <= mark["started_at"] <= mark["ended_at"]
        look.until_seen(lambda one: ("", "life") not in one.lines)


def test_who_comes_later_is_told_how_the_last_minute_was(server: Server) -> None:
    failed = server.chat("raise ValueError", "past").json["turn_id"]
    marks = {mark["id"]: mark for mark in snapshot(server)["marks"]}
    assert marks[failed]["state"] == "failed"
    assert marks[failed]["cause"] == "agent-failed"


def test_a_refusal_is_told_with_its_cause(tmp_path: Path) -> None:
    bounds: Knobs = {"strategy__max_waiting_per_conversation": 0}
    with Server(tmp_path, store__url="memory:", **bounds) as server, Look(server.port) as look:
        look.until_seen(lambda one: True)
        server.ask("until let")
        assert server.chat("too many").status == 429
        look.until_seen(lambda one: "refused" in one.states().values())
        assert look.seen["refused"] == {"conversation-queue-full": 1}
        (mark,) = (one for one in look.marks.values() if one["state"] == "refused")
        assert mark["cause"] == "conversation-queue-full"
        server.let_on("let")


def test_those_that_wait_are_shown_with_their_places(tmp_path: Path) -> None:
    with Server(tmp_path, store__url="memory:") as server:
        ids = [server.ask("until gone") for _ in range(4)]
        server.until_depth(3)
        with Look(server.port) as look:
            look.until_seen(lambda one: True)
            assert [turn["id"] for turn in look.turns()] == ids
            assert [turn["position"] for turn in look.turns()] == [0, 1, 2, 3]
            server.cancel(ids[1])
            look.until_seen(lambda one: [turn["id"] for turn in one.turns()][1] == ids[2])
            assert [turn["position"] for turn in look.turns()] == [0, 1, 2]
            assert look.states()[ids[1]] == "cancelled"


def test_a_long_line_is_shown_by_its_head_and_counted(tmp_path: Path) -> None:
    with Server(tmp_path, store__url="memory:", **ROOMY) as server:
        held = [server.ask("hang", prefer="respond-async") for _ in range(1_001)]
        answer = server.request("GET", "/view")
        (line,) = answer.json["lines"]
        assert (line["running"], line["waiting"]) == (1, 1_000)
        assert [turn["id"] for turn in line["turns"]] == held[:21]
        assert len(answer.body) < 16_384


def test_of_many_lines_the_first_are_shown_and_the_rest_is_counted(tmp_path: Path) -> None:
    with Server(tmp_path, store__url="memory:", strategy__max_running=100) as server:
        for number in range(60):
            server.ask("until gone", f"c{number}")
        shown = snapshot(server)
        assert len(shown["lines"]) == 40
        assert shown["left_out"]["lines"] == 20
        with Look(server.port) as look:
            look.until_seen(lambda one: True)
            before = set(look.lines)
            server.let_on("gone")
            server.until_quiet()
            look.until_seen(lambda one: not one.lines and not one.seen["left_out"]["lines"])
        assert len(before) == 40


def test_when_the_last_one_leaves_nothing_is_left_running(server: Server) -> None:
    server.until_quiet()
    base = server.health()["requests_in_flight"]
    looks = [Look(server.port) for _ in range(5)]
    for look in looks:
        look.until_seen(lambda one: True)
    assert server.health()["requests_in_flight"] == base + 5
    for look in looks:
        look.__exit__()
    until(lambda: server.health()["requests_in_flight"] == base, "the readers are gone")


def test_a_reader_that_takes_nothing_for_a_while_costs_little_and_catches_up(
    tmp_path: Path,
) -> None:
    with Server(tmp_path, store__url="memory:") as server, Look(server.port) as look:
        look.until_seen(lambda one: True)
        before = server.process.memory_info().rss
        for number in range(600):
            server.chat("x" * 200, f"c{number % 50}")
        assert server.process.memory_info().rss - before < 24_000_000
        look.until_seen(lambda one: one.seen["ended"] == {"answered": 600})


def test_an_agent_that_ignores_its_cancellation_is_shown_in_its_line(tmp_path: Path) -> None:
    with Server(tmp_path, store__url="memory:") as server, Look(server.port) as look:
        held = server.ask("ignore 2")
        server.until_called("ignore 2")
        behind = server.ask("hello")
        server.cancel(held)
        look.until_seen(
            lambda one: [turn["state"] for turn in one.turns()] == ["fenced", "waiting"]
        )
        assert [turn["id"] for turn in look.turns()] == [held, behind]
        assert look.seen["load"]["fenced"] == 1
        assert look.states()[held] == "cancelled"
        look.until_seen(lambda one: one.states().get(behind) == "answered")
        look.until_seen(lambda one: not one.lines)


def test_a_caller_counts_its_own_turns_alone(tmp_path: Path) -> None:
    tokens = ["ann:a-token", "bob:b-token"]
    bounds: Knobs = {"strategy__max_waiting_per_conversation": 0, "store__url": "memory:"}
    with Server(tmp_path, server__tokens=tokens, **bounds) as server:
        ann, bob = Caller(server, "a-token"), Caller(server, "b-token")
        ann.chat("hello")
        bob.chat("raise ValueError")
        ann.chat("until let", prefer="respond-async")
        assert ann.chat("too many").status == 429
        with Look(server.port, "a-token") as anns, Look(server.port, "b-token") as bobs:
            anns.until_seen(lambda one: one.seen["load"]["running"] == 1)
            assert anns.seen["ended"] == {"answered": 1}
            assert anns.seen["refused"] == {"conversation-queue-full": 1}
            bobs.until_seen(lambda one: one.seen["ended"] == {"failed": 1})
            assert (bobs.seen["load"]["running"], bobs.seen["refused"]) == (0, {})
            server.let_on("let")
            anns.until_seen(lambda one: one.seen["ended"] == {"answered": 2})


def test_a_caller_is_told_how_its_turns_ended_since_the_start(tmp_path: Path) -> None:
    tokens = ["ann:a-token", "bob:b-token"]
    with Server(tmp_path, server__tokens=tokens, server__resume_turns=1) as server:
        ann, bob = Caller(server, "a-token"), Caller(server, "b-token")
        for message in ("hello", "raise ValueError", "hello"):
            ann.chat(message)
        bob.chat("hello")
        assert ann("GET", "/view").json["ended"] == {"answered": 2, "failed": 1}
        assert bob("GET", "/view").json["ended"] == {"answered": 1}


def test_a_head_request_for_the_stream_is_answered_at_once(server: Server) -> None:
    with connect(server.port) as connection, connection.makefile("rb") as stream:
        for _ in range(2):
            head = encode("HEAD", "/view", None, {"accept": "text/event-stream"})
            connection.sendall(head)
            assert stream.readline().startswith(b"HTTP/1.1 200")
            lines = list(iter(stream.readline, b"\r\n"))
            assert b"content-type: text/event-stream\r\n" in lines


def test_the_end_of_the_server_ends_the_stream(tmp_path: Path) -> None:
    with Server(tmp_path, store__url="memory:") as server, Look(server.port) as look:
        look.until_seen(lambda one: True)
        assert server.stop() == 0
        assert [event for event in look if event.kind == "view" and "whole" in event.data] == []


def test_a_restarted_server_tells_all_from_the_beginning(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        waiting = [server.ask("until gone") for _ in range(3)]
        server.until_called("until gone")
        server.kill()
        server.start()
        with Look(server.port) as look:
            look.until_seen(lambda one: [turn["attempt"] for turn in one.turns()][:1] == [2])
            assert [turn["id"] for turn in look.turns()] == waiting


def test_without_the_page_there_is_no_view(tmp_path: Path) -> None:
    with Server(tmp_path, store__url="memory:", observability__page=False) as server:
        for path in ("/view", "/view/settings"):
            assert server.request("GET", path).status == 404


def test_whoever_asks_again_and_again_is_told_no_more_often_than_a_stream(server: Server) -> None:
    with connect(server.port) as connection, connection.makefile("rb") as stream:
        connection.sendall(encode("GET", "/view") * 4)
        instants = [read(stream).json["now"] for _ in range(4)]
    assert all(later - before > 0.24 for before, later in pairwise(instants))


@pytest.mark.parametrize("path", ["/view", "/view/settings"])
def test_what_is_seen_stays_in_no_cache_and_is_nothing_but_json(server: Server, path: str) -> None:
    headers = server.request("GET", path).headers
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_caller_has_so_many_readers_at_most_and_others_theirs(tmp_path: Path) -> None:
    tokens = ["ann:a-token", "bob:b-token"]
    with Server(tmp_path, server__tokens=tokens) as server, ExitStack() as looks:
        ann, bob = Caller(server, "a-token"), Caller(server, "b-token")
        first = [looks.enter_context(Look(server.port, "a-token")) for _ in range(MOST_READERS)]
        for look in first:
            look.until_seen(lambda one: True)
        refused = ann("GET", "/view")
        assert (refused.status, refused.cause) == (429, "view-full")
        assert int(refused.headers["retry-after"]) >= 1
        assert ann("GET", "/view", accept="text/event-stream").cause == "view-full"
        assert bob("GET", "/view").status == 200
        first[0].__exit__()
        until(lambda: ann("GET", "/view").status == 200, "there is room again")


def test_an_agent_that_goes_on_is_in_its_line_however_long_ago_its_turn_ended(
    tmp_path: Path,
) -> None:
    with Server(tmp_path, store__url="memory:", server__resume_turns=1) as server:
        held = server.ask("ignore 10")
        server.until_called("ignore 10")
        server.cancel(held)
        server.until_ended(held)
        server.chat("hello", "elsewhere")  # The only ended turn that is remembered.
        (line,) = snapshot(server)["lines"]
        assert [(turn["id"], turn["state"]) for turn in line["turns"]] == [(held, "fenced")]


def test_the_view_changes_nothing_so_it_takes_no_other_method(server: Server) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert server.request(method, "/view", {}).status == 405


def test_the_settings_are_shown_with_secrets_masked(server: Server) -> None:
    listed = server.request("GET", "/view/settings").json["settings"]
    by_name = {f"{one['table']}.{one['key']}": one for one in listed}
    assert by_name["strategy.max_waiting"]["value"] == 2_000
    assert by_name["strategy.max_waiting"]["default"] == 1_000
    assert by_name["server.port"]["about"]


def test_a_reader_that_leaves_in_the_middle_of_an_event_is_no_error(tmp_path: Path) -> None:
    with Server(tmp_path, store__url="memory:") as server:
        for _ in range(20):
            with connect(server.port) as reader:
                reader.sendall(encode("GET", "/view", None, {"accept": "text/event-stream"}))
        server.until_quiet()
        until(lambda: server.health()["requests_in_flight"] == 1, "the readers are gone")
        assert "request failed" not in server.log


def test_events_are_json_with_an_id_each(server: Server) -> None:
    with Stream(server.port, path="/view") as stream:
        first = next(iter(stream))
        server.chat("hello", "events")
        second = next(iter(stream))
    assert "" != first.id != second.id != ""
    assert second.data["now"] >= first.data["now"]
