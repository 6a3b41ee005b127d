"""Spans of turns, as a real OTLP receiver gets them from a real server."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from strategies.registry import BUILT_IN
from tests.support.client import chat, receive, send
from tests.support.otlp import ERROR, SERVER, Receiver, Seen
from tests.support.server import Server

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"
AGENTS = "tests.support.traced"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with Receiver() as running:
        yield running


def traced(
    folder: Path, receiver: Receiver, *arguments: str, agent: str = "coroutine", **knobs: object
) -> Server:
    target = f"{AGENTS}:{agent}"
    return Server(folder, *arguments, target=target, observability__otel=receiver.url, **knobs)


@pytest.mark.parametrize("strategy", BUILT_IN)
def test_a_turn_is_a_span_under_its_callers_with_wait_and_run_inside(
    folder: Path, receiver: Receiver, strategy: str
) -> None:
    with traced(folder, receiver, "--strategy", strategy) as server:
        answer = server.chat("hello", traceparent=PARENT)
        assert answer.status == 200
        turn, wait, run = (receiver.one(name) for name in ("turn", "wait", "run"))
    assert {one.trace_id for one in (turn, wait, run)} == {TRACE}
    assert (turn.parent_id, turn.kind) == (CALLER, SERVER)
    assert wait.parent_id == run.parent_id == turn.span_id
    assert turn.began == wait.began <= wait.ended == run.began <= run.ended <= turn.ended
    assert turn.attributes["turnline.strategy"] == strategy
    assert turn.attributes["turnline.turn.id"] == answer.json["turn_id"]
    assert turn.attributes["turnline.outcome"] == "answered"
    assert turn.resource["service.name"] == "turnline"
    assert run.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert run.attributes["gen_ai.agent.name"] == f"{AGENTS}:coroutine"
    assert run.attributes["gen_ai.conversation.id"] == "default"


@pytest.mark.parametrize("agent", ["coroutine", "function", "make_agent"])
def test_spans_that_an_agent_makes_are_children_of_its_run(
    folder: Path, receiver: Receiver, agent: str
) -> None:
    with traced(folder, receiver, agent=agent) as server:
        server.chat("hello", traceparent=PARENT)
        tool, run = receiver.one("tool"), receiver.one("run")
    assert (tool.trace_id, tool.parent_id) == (TRACE, run.span_id)


def test_what_an_agent_told_of_its_tokens_is_in_its_run(folder: Path, receiver: Receiver) -> None:
    with traced(folder, receiver, agent="frugal") as server:
        server.chat("hello")
        run = receiver.one("run")
    assert run.attributes["gen_ai.usage.input_tokens"] == 5
    assert run.attributes["gen_ai.usage.output_tokens"] == 2


@pytest.mark.parametrize("wrong", [f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{CALLER}-01", "x"])
def test_a_traceparent_that_is_not_valid_is_as_good_as_none(
    folder: Path, receiver: Receiver, wrong: str
) -> None:
    with traced(folder, receiver) as server:
        server.chat("hello", traceparent=wrong)
        turn = receiver.one("turn")
        (line,) = ended(server)
    assert turn.trace_id != TRACE
    assert turn.parent_id == ""
    assert line["trace_id"] == turn.trace_id


def test_a_caller_that_does_not_sample_has_no_spans(folder: Path, receiver: Receiver) -> None:
    with traced(folder, receiver) as server:
        server.chat("unseen", "a", traceparent=f"{PARENT[:-1]}0")
        server.chat("seen", "b", traceparent=PARENT)
        receiver.one("tool")
        assert server.stop() == 0
    assert [one.name for one in receiver.spans].count("turn") == 1


def test_a_failed_turn_is_an_error_and_says_its_cause(folder: Path, receiver: Receiver) -> None:
    with traced(folder, receiver) as server:
        assert server.chat("raise Exception").status == 502
        turn, run = receiver.one("turn"), receiver.one("run")
    assert turn.status == run.status == ERROR
    assert turn.attributes["error.type"] == "agent-failed"
    assert not any(b"a secret of the agent" in one for one in receiver.raw if b"tool" not in one)


def test_a_turn_whose_agent_goes_on_ends_with_its_deadline(
    folder: Path, receiver: Receiver
) -> None:
    with traced(folder, receiver, agent__turn_timeout_s=0.2) as server:
        assert server.chat("ignore 1").status == 504
        turn, run = receiver.one("turn"), receiver.one("run")
    assert turn.attributes["error.type"] == "turn-timeout"
    assert run.attributes["turnline.agent_goes_on"] is True


def test_turns_that_never_run_have_a_wait_and_no_run(folder: Path, receiver: Receiver) -> None:
    with traced(folder, receiver) as server:
        with send(server.port, chat("until done")) as running:
            server.until_called("until done")
            expired = server.chat("expired", turn_deadline_ms="50", traceparent=PARENT)
            cancelled = server.ask("cancelled", traceparent=PARENT)
            server.cancel(cancelled)
            of_caller = receiver.until(lambda spans: len(of_trace(spans)) == 4)
            server.let_on("done")
            receive(running)
    assert expired.status == 503
    assert sorted(one.name for one in of_trace(of_caller)) == ["turn", "turn", "wait", "wait"]
    turns = [one for one in of_trace(of_caller) if one.name == "turn"]
    assert {one.attributes["turnline.outcome"] for one in turns} == {"expired", "cancelled"}
    assert {one.attributes["error.type"] for one in turns} == {"wait-expired", "turn-cancelled"}
    assert all(one.attributes["turnline.position"] == 1 for one in turns)


def test_a_refused_turn_is_a_span_too(folder: Path, receiver: Receiver) -> None:
    with traced(folder, receiver, "--strategy", "reject") as server:
        with send(server.port, chat("until done")) as running:
            server.until_called("until done")
            assert server.chat("refused", traceparent=PARENT).status == 409
            (turn,) = receiver.named("turn")
            server.let_on("done")
            receive(running)
    assert (turn.trace_id, turn.parent_id) == (TRACE, CALLER)
    assert turn.attributes["turnline.outcome"] == "refused"
    assert turn.attributes["error.type"] == "conversation-busy"


def test_merged_turns_are_linked_with_the_one_run(folder: Path, receiver: Receiver) -> None:
    with traced(folder, receiver, "--strategy", "merge") as server:
        with send(server.port, chat("until done")) as running:
            server.until_called("until done")
            waiting = [server.ask(word) for word in ("one", "two")]
            server.let_on("done")
            receive(running)
        turns = receiver.named("turn", 3)
        runs = receiver.named("run", 2)
    by_id = {one.attributes["turnline.turn.id"]: one for one in turns}
    first, second = (by_id[turn_id] for turn_id in waiting)
    (run,) = (one for one in runs if one.parent_id == first.span_id)
    assert run.links == [second.span_id]
    assert second.links == [run.span_id]


def test_messages_are_in_no_span_unless_they_are_logged(folder: Path, receiver: Receiver) -> None:
    with traced(folder, receiver) as server:
        server.chat("a secret word")
        receiver.one("run")
    assert not any(b"secret word" in one for one in receiver.raw)
    with traced(folder, receiver, observability__log_messages=True) as server:
        server.chat("a secret word", "another")
        assert receiver.named("turn", 2)[1].attributes["turnline.message"] == "a secret word"


def test_a_turn_taken_up_after_a_kill_goes_on_in_its_callers_trace(
    folder: Path, receiver: Receiver
) -> None:
    server = traced(folder, receiver)
    with server:
        turn_id = server.ask("hang-at-first", traceparent=PARENT, x_request_id="mine")
        server.until_called("hang-at-first")
        server.signal(signal.SIGKILL)
    with server:
        server.until_ended(turn_id)
        turn, tool = receiver.one("turn"), receiver.one("tool")
        (line,) = ended(server)
    assert (turn.trace_id, turn.parent_id) == (TRACE, CALLER)
    assert turn.attributes["turnline.attempt"] == 2
    assert tool.trace_id == TRACE
    assert (line["request_id"], line["trace_id"]) == ("mine", TRACE)


def test_a_collector_that_is_away_costs_lines_and_no_turns(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    with Receiver() as away:
        pass
    with traced(folder, away) as server:
        assert all(server.chat("hello").status == 200 for _ in range(5))
        assert server.stop() == 0
        (said,) = [one for one in server.logged if one["event"] == "spans cannot be sent"]
    assert said["url"] == f"{away.url}/v1/traces"


def test_sigterm_sends_the_last_spans(
    folder: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    with traced(folder, receiver) as server:
        server.chat("hello", traceparent=PARENT)
        assert server.stop() == 0
    assert {one.name for one in receiver.spans} == {"turn", "wait", "run", "tool"}


def test_a_collector_that_never_answers_does_not_hold_up_the_end(folder: Path) -> None:
    """I-17: the drain, which has nothing to wait for, and 1 s."""
    with nowhere() as url:
        with Server(folder, target=f"{AGENTS}:coroutine", observability__otel=url) as server:
            server.chat("hello")
            began = time.monotonic()
            assert server.stop() == 0
            assert "left behind" not in server.log
            assert time.monotonic() - began < 5.0


@contextmanager
def nowhere() -> Iterator[str]:
    """The address of a collector that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def ended(server: Server) -> list[dict[str, Any]]:
    """The lines of turns."""
    return [one for one in server.logged if one["event"] == "turn ended"]


def of_trace(spans: list[Seen]) -> list[Seen]:
    """Those of the caller's trace."""
    return [one for one in spans if one.trace_id == TRACE]
