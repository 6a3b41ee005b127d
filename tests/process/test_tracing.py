"""Spans of turns, as a real OTLP receiver gets them from a real server."""

from __future__ import annotations

import runpy
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from runner.telemetry.collector import Collector
from strategies.registry import BUILT_IN
from tests.support.client import chat, receive, send, until
from tests.support.otlp import ERROR, SERVER, Receiver
from tests.support.server import ROOT, Server

AGENTS = "tests.support.traced"
CALLER = "00f067aa0ba902b7"


class Trace:
    """A caller's, and a conversation of the same name."""

    def __init__(self) -> None:
        self.id = token_hex(16)
        self.parent = f"00-{self.id}-{CALLER}-01"


@pytest.fixture
def trace() -> Trace:
    return Trace()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with Receiver() as running:
            yield running


def traced(
    folder: Path, receiver: Receiver, *arguments: str, agent: str = "pieces", **knobs: object
) -> Server:
    target = f"{AGENTS}:{agent}"
    return Server(folder, *arguments, target=target, observability__otel=receiver.url, **knobs)


@pytest.fixture(scope="module")
def shared(
    http: str, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("traced")
    with traced(folder, receiver, strategy__per_turn=["reject", "merge"]) as running:
        yield running


def test_the_receiver_of_the_docs_prints_each_span_below_the_one_that_it_is_in(
    shared: Server, receiver: Receiver, trace: Trace
) -> None:
    shared.chat("Hello", trace.id, traceparent=trace.parent)
    receiver.one("turn", trace.id)
    wanted = bytes.fromhex(trace.id), b"turnline.outcome"
    body = next(body for body in receiver.raw if all(one in body for one in wanted))
    example = runpy.run_path(str(ROOT / "docs" / "examples" / "spans.py"))
    lines = [*example["lines"](example["spans"](body), bytes.fromhex(CALLER))]
    shown = [line.split(" ms")[0].rpartition(" ")[0] for line in lines]
    assert shown == ["turn", "  wait", "  run"]
    assert f"gen_ai.conversation.id={trace.id}" in lines[0]


@pytest.mark.parametrize("strategy", BUILT_IN)
def test_a_turn_is_a_span_by_whatever_strategy_it_ran(
    folder: Path, receiver: Receiver, trace: Trace, strategy: str
) -> None:
    with traced(folder, receiver, "--strategy", strategy) as server:
        _check_answered(server, receiver, trace, strategy)


def test_a_turn_is_a_span_under_its_callers_with_wait_and_run_inside(
    shared: Server, receiver: Receiver, trace: Trace
) -> None:
    _check_answered(shared, receiver, trace, "queue")


def _check_answered(server: Server, receiver: Receiver, trace: Trace, strategy: str) -> None:
    answer = server.chat("hello", trace.id, traceparent=trace.parent)
    assert answer.status == 200
    turn, wait, run = (receiver.one(name, trace.id) for name in ("turn", "wait", "run"))
    assert (turn.parent_id, turn.kind) == (CALLER, SERVER)
    assert wait.parent_id == run.parent_id == turn.span_id
    assert turn.began == wait.began <= wait.ended == run.began <= run.ended <= turn.ended
    assert turn.attributes["turnline.strategy"] == strategy
    assert turn.attributes["turnline.turn.id"] == answer.json["turn_id"]
    assert turn.attributes["turnline.outcome"] == "answered"
    assert turn.resource["service.name"] == "turnline"
    assert run.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert run.attributes["gen_ai.agent.name"] == f"{AGENTS}:pieces"
    assert run.attributes["gen_ai.conversation.id"] == trace.id


def test_a_span_of_the_agents_own_is_a_child_of_its_run(
    shared: Server, receiver: Receiver, trace: Trace
) -> None:
    shared.chat("hello", trace.id, traceparent=trace.parent)
    assert receiver.one("tool", trace.id).parent_id == receiver.one("run", trace.id).span_id


@pytest.mark.parametrize("agent", ["function", "make_agent"])
def test_so_it_is_in_an_agents_thread_and_in_one_that_a_factory_made(
    folder: Path, receiver: Receiver, trace: Trace, agent: str
) -> None:
    with traced(folder, receiver, agent=agent) as server:
        server.chat("hello", traceparent=trace.parent)
        assert receiver.one("tool", trace.id).parent_id == receiver.one("run", trace.id).span_id


def test_what_an_agent_told_last_of_its_tokens_is_in_its_run(
    shared: Server, receiver: Receiver, trace: Trace
) -> None:
    shared.chat("hello", trace.id, traceparent=trace.parent)
    run = receiver.one("run", trace.id)
    assert run.attributes["gen_ai.usage.input_tokens"] == 5
    assert run.attributes["gen_ai.usage.output_tokens"] == 2


@pytest.mark.parametrize("wrong", ["00-{id}-0000000000000000-01", f"ff-{{id}}-{CALLER}-01", "x"])
def test_a_traceparent_that_is_not_valid_is_as_good_as_none(
    shared: Server, receiver: Receiver, trace: Trace, wrong: str
) -> None:
    turn_id = shared.chat("hello", traceparent=wrong.format(id=trace.id)).json["turn_id"]
    own_id = line(shared, turn_id)["trace_id"]
    assert own_id != trace.id
    assert receiver.one("turn", own_id).parent_id == ""


def test_a_caller_that_does_not_sample_has_no_spans(
    shared: Server, receiver: Receiver, trace: Trace
) -> None:
    later = Trace()
    assert shared.chat("hello", trace.id, traceparent=trace.parent[:-1] + "0").status == 200
    shared.chat("hello", later.id, traceparent=later.parent)
    receiver.one("tool", later.id)
    receiver.one("run", later.id)
    assert not [one for one in receiver.spans if one.trace_id == trace.id]


def test_a_failed_turn_is_an_error_and_says_its_cause(
    shared: Server, receiver: Receiver, trace: Trace
) -> None:
    assert shared.chat("raise Exception", trace.id, traceparent=trace.parent).status == 502
    turn, run = receiver.one("turn", trace.id), receiver.one("run", trace.id)
    assert turn.status == run.status == ERROR
    assert turn.attributes["error.type"] == run.attributes["error.type"] == "agent-failed"


def test_a_turn_whose_agent_goes_on_ends_with_its_deadline(
    shared: Server, receiver: Receiver, trace: Trace
) -> None:
    answer = shared.chat("ignore 1", trace.id, traceparent=trace.parent, turn_deadline_ms="200")
    assert answer.status == 504
    assert receiver.one("turn", trace.id).attributes["error.type"] == "turn-timeout"
    assert receiver.one("run", trace.id).attributes["turnline.agent_goes_on"] is True


def test_turns_that_never_run_have_a_wait_and_no_run(
    shared: Server, receiver: Receiver, trace: Trace
) -> None:
    with send(shared.port, chat(f"until {trace.id}", trace.id)) as running:
        shared.until_called(f"until {trace.id}")
        expired = shared.chat("expired", trace.id, turn_deadline_ms="50", traceparent=trace.parent)
        shared.cancel(shared.ask("cancelled", trace.id, traceparent=trace.parent))
        turns = receiver.named("turn", trace.id, 2)
        waits = receiver.named("wait", trace.id, 2)
        shared.let_on(trace.id)
        receive(running)
    assert expired.status == 503
    assert [one.parent_id for one in waits] == [one.span_id for one in turns]
    assert [one.attributes["turnline.outcome"] for one in turns] == ["expired", "cancelled"]
    assert [one.attributes["error.type"] for one in turns] == ["wait-expired", "turn-cancelled"]
    assert [one.attributes["turnline.position"] for one in turns] == [1, 1]
    assert not [one for one in receiver.spans if one.name == "run" and one.trace_id == trace.id]


def test_a_refused_turn_is_a_span_too(shared: Server, receiver: Receiver, trace: Trace) -> None:
    with send(shared.port, chat(f"until {trace.id}", trace.id)) as running:
        shared.until_called(f"until {trace.id}")
        refused = shared.chat("refused", trace.id, turn_strategy="reject", traceparent=trace.parent)
        turn = receiver.one("turn", trace.id)
        shared.let_on(trace.id)
        receive(running)
    assert refused.status == 409
    assert turn.parent_id == CALLER
    assert turn.attributes["turnline.outcome"] == "refused"
    assert turn.attributes["turnline.strategy"] == "reject"
    assert turn.attributes["error.type"] == "conversation-busy"


def test_merged_turns_are_linked_with_their_one_run(
    shared: Server, receiver: Receiver, trace: Trace
) -> None:
    other = Trace()
    with send(shared.port, chat(f"until {trace.id}", trace.id)) as running:
        shared.until_called(f"until {trace.id}")
        for asked in (trace, other):
            shared.ask(asked.id, trace.id, turn_strategy="merge", traceparent=asked.parent)
        shared.let_on(trace.id)
        receive(running)
    first, run = receiver.one("turn", trace.id), receiver.one("run", trace.id)
    second = receiver.one("turn", other.id)
    assert run.parent_id == first.span_id
    assert run.links == [second.span_id]
    assert second.links == [run.span_id]


def test_messages_are_in_no_span(shared: Server, receiver: Receiver, trace: Trace) -> None:
    shared.chat("a secret word", trace.id, traceparent=trace.parent)
    receiver.one("run", trace.id)
    assert not any(b"secret word" in one for one in receiver.raw)


def test_they_are_where_they_are_logged_too(folder: Path, receiver: Receiver, trace: Trace) -> None:
    with traced(folder, receiver, observability__log_messages=True) as server:
        server.chat("no secret" + 2_000 * "x", traceparent=trace.parent)
        turn = receiver.one("turn", trace.id)
    message = turn.attributes["turnline.message"]
    assert message.startswith("no secret")
    assert len(message) == 1_024


def test_a_turn_taken_up_after_a_kill_goes_on_in_its_callers_trace(
    folder: Path, receiver: Receiver, trace: Trace
) -> None:
    server = traced(folder, receiver)
    with server:
        turn_id = server.ask("hang-at-first", traceparent=trace.parent, x_request_id="mine")
        server.until_called("hang-at-first")
        server.signal(signal.SIGKILL)
    with server:
        server.until_ended(turn_id)
        turn, tool = receiver.one("turn", trace.id), receiver.one("tool", trace.id)
        said = line(server, turn_id)
    assert turn.parent_id == CALLER
    assert turn.attributes["turnline.attempt"] == 2
    assert tool.parent_id == receiver.one("run", trace.id).span_id
    assert (said["request_id"], said["trace_id"]) == ("mine", trace.id)


def test_a_collector_that_is_away_costs_a_line_and_no_turns(
    folder: Path, receiver: Receiver
) -> None:
    with Receiver() as away:
        pass
    with traced(folder, away, agent="make_agent") as server:
        assert all(server.chat("hello").status == 200 for _ in range(5))
        assert server.stop() == 0
        (said,) = [one for one in server.logged if one["event"] == "spans cannot be sent"]
    assert said["url"] == f"{away.url}/v1/traces"


def test_a_collector_that_sends_elsewhere_is_not_followed_and_is_told(
    folder: Path, receiver: Receiver
) -> None:
    with elsewhere(receiver.url) as url, traced(folder, receiver) as server:
        server.knobs |= {"observability__otel": url}
        server.start()
        before = len(receiver.asked)
        server.chat("hello")
        assert server.stop() == 0
        assert "302" in next(
            one["reason"] for one in server.logged if one["event"] == "spans cannot be sent"
        )
        assert len(receiver.asked) == before


def test_sigterm_sends_the_last_spans(
    folder: Path, receiver: Receiver, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    with traced(folder, receiver) as server:
        server.chat("hello", traceparent=trace.parent)
        assert server.stop() == 0
    names = {one.name for one in receiver.spans if one.trace_id == trace.id}
    assert names == {"turn", "wait", "run", "tool"}


def test_a_collector_that_never_answers_does_not_hold_up_the_end(folder: Path) -> None:
    with nowhere() as url:
        with Server(folder, target=f"{AGENTS}:pieces", observability__otel=url) as server:
            server.chat("hello")
            assert server.stop() == 0
            assert "left behind" not in server.log


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_BSP_SCHEDULE_DELAY", "9" * 20),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "nowhere.pem"),
    ],
)
def test_a_variable_that_cannot_be_used_is_told_at_the_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    status, said = Server(folder, observability__otel="https://127.0.0.1:1").fail()
    assert status == 2
    assert variable in said
    assert "Traceback" not in said


def test_a_head_that_drips_is_cut_off() -> None:
    with dripping() as url, pytest.raises(TimeoutError):
        Collector(url, patience_s=0.3).send(b"spans")


@contextmanager
def dripping() -> Iterator[str]:
    """The address of a collector whose head never ends, though there is always more of it."""

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
            while not is_over.wait(0.05):
                connection.sendall(b"x")

    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        is_over.set()
        thread.join()


@contextmanager
def nowhere() -> Iterator[str]:
    """The address of a collector that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def elsewhere(url: str) -> Iterator[str]:
    """The address of a collector that says it has moved there."""

    class Moved(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(302)
            self.send_header("location", f"{url}/v1/traces")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Moved)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def line(server: Server, turn_id: str) -> dict[str, Any]:
    """The log's line of a turn."""

    def lines() -> list[dict[str, Any]]:
        return [one for one in server.logged if one.get("turn_id") == turn_id]

    until(lambda: bool(lines()), "the line is read")
    return lines()[-1]
