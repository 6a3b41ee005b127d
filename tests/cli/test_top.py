"""`runner top` against a server that answers what the test says, and in a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.cli.view_state import View
from runner.cli.view_table import Paper, draw
from tests.support.scripted import Scripted
from tests.support.server import ROOT

Run = Callable[..., tuple[int, str, str]]
NOW = 1_000_000.0


def turn(own_id: str, state: str = "waiting", **members: object) -> dict[str, Any]:
    known = {"position": None, "eta_s": None, "accepted_at": NOW - 9, "started_at": None}
    return {"id": own_id, "state": state, "priority": 3, "attempt": 1, **known, **members}


def line(conversation: str, *turns: dict[str, Any], caller: str = "") -> dict[str, Any]:
    waiting = sum(one["state"] == "waiting" for one in turns)
    counts = {"waiting": waiting, "running": len(turns) - waiting}
    return {"conversation": conversation, "caller": caller, **counts, "turns": list(turns)}


def mark(conversation: str, state: str, *times: float | None) -> dict[str, Any]:
    accepted_at, started_at, ended_at = times
    known = {"id": "m", "caller": "", "cause": None}
    about = {"accepted_at": accepted_at, "started_at": started_at, "ended_at": ended_at}
    return {"conversation": conversation, "state": state, **known, **about}


def change(*lines: dict[str, Any], **members: object) -> dict[str, Any]:
    """A document of what is new; the load is that of these lines."""
    load = {name: sum(one[name] for one in lines) for name in ("waiting", "running")}
    told: dict[str, Any] = {
        "now": NOW,
        "load": {**load, "fenced": 0, "oldest_wait_s": 0.0},
        "ended": {},
        "refused": {},
        "wait_s": None,
        "run_s": None,
        "lines": list(lines),
        "idle": [],
        "marks": [],
        "left_out": {"lines": 0, "marks": 0},
    }
    return told | members


def whole(*lines: dict[str, Any], **members: object) -> dict[str, Any]:
    about = {
        "whole": True,
        "you": {"caller": "", "everyone": True, "texts": True},
        "strategy": "queue",
        "agent_id": "agent",
        "limits": {"max_running": 8, "max_waiting": 1000},
    }
    return change(*lines, **members) | about


def drawn(*documents: dict[str, Any], width: int = 80, height: int | None = None) -> list[str]:
    view = View()
    for document in documents:
        view.take(document)
    return draw(view, "URL", view.now, "END", Paper(width, height)).plain.splitlines()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with Scripted() as server:
        yield server


def will_show(scripted: Scripted, *documents: dict[str, Any]) -> None:
    """A stream that ends after these."""
    scripted.will_stream(*((str(n), "view", one) for n, one in enumerate(documents)))


# What is shown.


def test_it_shows_the_load_the_times_the_ends_and_the_refusals_by_cause() -> None:
    times = {"n": 9, "p50": 0.25, "p95": 12.0, "p99": 300.0}
    load = {"waiting": 12, "running": 3, "fenced": 1, "oldest_wait_s": 4.5}
    counts = {"ended": {"answered": 7, "failed": 2}, "refused": {"conversation-queue-full": 5}}
    text = "\n".join(drawn(whole(load=load, wait_s=times, **counts)))
    for words in (
        "strategy queue",
        "running 3 of 8",
        "waiting 12 of 1000",
        "fenced 1",
        "oldest wait 4.5 s",
        "wait p50 0.2 s p95 12 s p99 5 min",
        "run -",
        "answered 7   failed 2",
        "conversation-queue-full 5",
    ):
        assert words in text


def test_it_shows_who_runs_and_who_waits_with_place_age_and_expected_wait() -> None:
    runs = turn("r1", "running", started_at=NOW - 4, message="hello")
    waits = turn("w1", position=2, eta_s=3.0)
    text = drawn(whole(line("talk", runs, waits, caller="ada")))
    assert any("talk (ada)" in one for one in text)
    assert any(one.split() == ["runs", "4.0", "s", "r1", "hello"] for one in text)
    assert any(one.split() == ["2nd", "9.0", "s", "in", "3.0", "s", "w1"] for one in text)


def test_a_lane_tells_waiting_running_refused_failed_and_stopped_apart_without_colour() -> None:
    marks = [
        mark("talk", "failed", NOW - 9, NOW - 7, NOW - 4),
        mark("talk", "refused", None, None, NOW - 2),
        mark("talk", "cancelled", NOW - 1, None, NOW),
    ]
    shown = next(one for one in drawn(whole(marks=marks)) if one.startswith("talk"))
    assert shown.endswith("  ░░███! x░/")


def test_the_last_minute_of_a_conversation_stays_when_it_has_no_turn_any_more() -> None:
    first = whole(line("talk", turn("r1", "running", started_at=NOW - 2)))
    idle = [{"conversation": "talk", "caller": ""}]
    ended = [mark("talk", "answered", NOW - 9, NOW - 2, NOW)]
    text = drawn(first, change(idle=idle, marks=ended, now=NOW + 10))
    assert next(one for one in text if one.startswith("talk")).endswith("███" + " " * 10)
    later = drawn(first, change(idle=idle, marks=ended), change(now=NOW + 70))
    assert not any(one.startswith("talk") for one in later)


def test_conversations_with_most_waiting_come_first_and_then_those_that_ended_last() -> None:
    marks = [mark(name, "refused", NOW, None, NOW) for name in ("sooner", "later")]
    lines = line("one", turn("w1")), line("two", turn("w2"), turn("w3"))
    names = [one.split()[0] for one in drawn(whole(*lines, marks=marks)) if one[:1].isalpha()]
    assert names[-5:-1] == ["two", "one", "later", "sooner"]


def test_a_narrow_and_low_terminal_is_filled_and_told_what_is_left_out() -> None:
    turns = [turn(f"{n:032x}", position=n + 1, message="m" * 80) for n in range(20)]
    told = whole(*(line("漢字" * 40 + str(n), *turns) for n in range(40)))
    text = drawn(told, width=60, height=20)
    assert len(text) == 20
    assert text[-1] == "END"
    lines = sum(one.startswith("漢") for one in text)
    turns_shown = sum("00000" in one for one in text)
    assert lines > 2
    assert turns_shown > 2
    assert text[-2] == f"not shown: {40 - lines} conversations and {800 - turns_shown} turns"


def test_no_line_is_wider_than_the_terminal() -> None:
    from rich.cells import cell_len

    told = whole(line("漢字" * 40, turn("w" * 32, message="字" * 80), caller="ada" * 40))
    for width in (20, 60, 61, 140):
        assert max(map(cell_len, drawn(told, width=width))) <= width


# From a pipe.


def test_once_prints_it_and_leaves(run: Run, scripted: Scripted) -> None:
    will_show(scripted, whole(line("talk", turn("w1", position=1))))
    status, out, err = run("top", "--url", f"{scripted.url}/under/", "--token", "t1", "--once")
    assert (status, err) == (0, "")
    assert "talk" in out
    assert "1st" in out
    assert scripted.asked == [("/under/view", "Bearer t1", None)]


def test_once_as_json_prints_the_document(run: Run, scripted: Scripted) -> None:
    told = whole(line("talk", turn("w1")))
    will_show(scripted, told)
    status, out, _ = run("top", "--url", scripted.url, "--once", "--json")
    assert (status, json.loads(out)) == (0, told)


def test_json_is_a_document_a_line_and_each_has_every_conversation(
    run: Run, scripted: Scripted
) -> None:
    first, second = line("a", turn("w1")), line("b", turn("w2"))
    ended = [mark("a", "answered", NOW - 9, NOW - 2, NOW)]
    idle = [{"conversation": "a", "caller": ""}]
    will_show(scripted, whole(first), change(second), change(idle=idle, marks=ended))
    scripted.will_refuse(401)
    _, out, _ = run("top", "--url", scripted.url, "--json")
    documents = [json.loads(text) for text in out.splitlines()]
    assert [one["lines"] for one in documents] == [[first], [first, second], [second]]
    assert [one["marks"] for one in documents] == [[], [], ended]
    assert {one["strategy"] for one in documents} == {"queue"}


def test_json_goes_on_after_a_lost_connection_and_says_so(run: Run, scripted: Scripted) -> None:
    will_show(scripted, whole(line("a", turn("w1"))))
    scripted.will_refuse(503)
    will_show(scripted, whole(line("b", turn("w2"))))
    scripted.will_refuse(401)
    status, out, err = run("top", "--url", scripted.url, "--json")
    names = [json.loads(text)["lines"][0]["conversation"] for text in out.splitlines()]
    assert (status, names) == (1, ["a", "b"])
    assert err.count("connection lost, trying again") == 3
    assert "RUNNER_TOKEN" in err


def test_a_missing_or_wrong_token_is_told_with_the_remedy(run: Run, scripted: Scripted) -> None:
    scripted.will_refuse(401, title="A valid token is needed")
    status, out, err = run("top", "--url", scripted.url, "--once")
    assert (status, out) == (1, "")
    assert err == "401 A valid token is needed. Use --token TOKEN, or set RUNNER_TOKEN.\n"


def test_where_nothing_answers_it_says_how_to_start_a_server(run: Run, scripted: Scripted) -> None:
    scripted.shutdown()
    scripted.server_close()
    status, out, err = run("top", "--url", scripted.url, "--once")
    assert (status, out) == (1, "")
    assert err.startswith(f"nothing answers at {scripted.url}")
    assert "serve" in err


def test_a_server_that_does_not_show_it_is_told_by_its_setting(
    run: Run, scripted: Scripted
) -> None:
    scripted.will_refuse(404)
    status, _, err = run("top", "--url", scripted.url, "--once")
    assert status == 1
    assert "page = true" in err


WRONG: list[dict[str, Any]] = [
    {"now": "x"},
    {"load": {}},
    {"refused": 1},
    {"lines": [line("a", turn("w1", position="x"))]},
    {"marks": [mark("a", "answered", NOW, NOW, float("inf"))]},
]


@pytest.mark.parametrize("body", [b"<html>", *(json.dumps(whole() | one) for one in WRONG)])
def test_what_is_no_view_is_told_in_a_line(run: Run, scripted: Scripted, body: bytes | str) -> None:
    if isinstance(body, bytes):
        scripted.answers.append((200, {}, body))
    else:
        will_show(scripted, json.loads(body))
    status, out, err = run("top", "--url", scripted.url, "--once")
    assert (status, out) == (1, "")
    assert err.endswith("Is the address that of a Turnline server?\n")
    assert err.count("\n") == 1


def test_a_url_that_is_none_is_wrong_usage(run: Run) -> None:
    assert run("top", "--url", "nowhere", "--once")[0] == 2


def test_without_a_terminal_it_names_what_a_pipe_can_have(run: Run) -> None:
    status, _, err = run("top")
    assert status == 2
    assert "--once or --json" in err


def test_what_others_have_named_cannot_command_the_terminal(run: Run, scripted: Scripted) -> None:
    evil = "\x1b]0;evil\x07\n\u202e\ud800\x9b"
    told = whole(line(evil, turn(evil, evil, message=evil), caller=evil), refused={evil: 1})
    will_show(scripted, told | {"agent_id": evil, "strategy": evil})
    status, out, _ = run("top", "--url", scripted.url, "--once", COLUMNS="300")
    assert status == 0
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\ud800"} & set(out)
    assert out.count("\\x1b]0;evil\\x07\\n") == 7


def test_help_does_not_wait_for_what_draws(tmp_path: Path) -> None:
    words = "import sys, runner.__main__ as m; m.cli(['--help'], standalone_mode=False)"
    words += "; sys.exit('rich.live' in sys.modules)"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", words], cwd=tmp_path, env=environ, check=True)


# Where many processes serve one store.

SYSTEM = {"processes": 3, "slots": 24, "waiting": 7, "running": 5, "oldest_wait_s": 12.0}


def test_what_all_processes_do_is_shown_before_what_this_one_has_accepted() -> None:
    shown = drawn(whole(line("c", turn("a", "running")), system=SYSTEM))
    assert shown[1] == "3 processes: running 5 of 24   waiting 7 of 1000   oldest wait 12 s"
    assert shown[2] == "accepted here: running 1   waiting 0   oldest wait 0.0 s"


def test_that_the_other_processes_are_not_known_is_said() -> None:
    shown = drawn(whole(system=SYSTEM), change(system=None))
    assert shown[1] == "all processes: not known, the store cannot be reached"
