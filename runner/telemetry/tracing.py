"""Spans of turns, for OpenTelemetry: `turn`, and in it its `wait` and its `run`.

What is noted while a turn lives is a few numbers. Its spans are made of them when it has
ended, by the exporter's own thread, and sent with many others: made one by one as events
happen they would cost a third of a turn. Only `run` can be seen earlier, by the agent, whose
own spans are its children.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from random import getrandbits
from time import monotonic_ns
from typing import cast

from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from pydantic_core import from_json

from runner.api.problems import cause_of
from runner.settings import Settings
from runner.telemetry.spans import Attributes, Exporter, Trace, child, make_resource
from runner.turns.ending import error_of
from runner.turns.live_turn import LiveTurn
from runner.turns.observer import Observer
from runner.turns.origin import Origin
from strategies import State, Turn, TurnError

FLUSH_S = 0.3
"""For the last spans, when the server ends. What is not sent by then is lost."""

SAMPLED, NOT_SAMPLED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)


class Tracing(Observer):
    """Notes what happens to turns, and has their spans sent to `settings.observability.otel`.

    agent  what answers, in words.
    """

    def __init__(self, settings: Settings, agent: str) -> None:
        self._settings = settings
        resource = make_resource()
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = Exporter(f"{settings.observability.otel}".rstrip("/") + "/v1/traces", resource)
        self._processor = BatchSpanProcessor(exporter)
        self._provider.add_span_processor(self._processor)
        self._of_agent: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.id": settings.agent.id,
            "gen_ai.agent.name": agent,
        }
        self._traces: dict[str, Trace] = {}
        self._is_closed = False
        # The agent's own spans go the same way, unless its program has said where they go.
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(self._provider)

    # As an Observer.

    def submitting(self, live: LiveTurn, /) -> None:
        found = self._begin(live.origin)
        self._traces[live.turn.id] = found
        live.trace_id = f"{found.turn.trace_id:032x}"

    def accepted(self, live: LiveTurn, /) -> None:
        found, ticket = self._traces[live.turn.id], live.ticket
        found.was_taken = True
        if ticket is not None and ticket.state is State.WAITING:
            place = ticket.place()
            found.position = None if place is None else place.position

    def refused(self, turn: Turn, error: TurnError, /) -> None:
        found = self._traces.pop(turn.id)
        found.of_turn = self._about(turn, error.state)
        found.error = cause_of(type(error)).name
        self._end(found)

    def called(self, lives: Sequence[LiveTurn], /) -> None:
        if not lives:
            return
        now, (first, *others) = monotonic_ns(), [self._traces[live.turn.id] for live in lives]
        first.run = run = child(first.turn)
        first.called_at = now
        first.merged = [other.turn for other in others]
        for other in others:
            other.called_at, other.run_elsewhere = now, run
        context.attach(trace.set_span_in_context(NonRecordingSpan(run)))

    def stopped(self, lives: Sequence[LiveTurn], /) -> None:
        now = monotonic_ns()
        for live in lives:
            if live.turn.id in self._traces:  # Or it has ended before its agent.
                self._traces[live.turn.id].stopped_at = now

    def ended(self, live: LiveTurn, /) -> None:
        found, ending = self._traces.pop(live.turn.id), live.ending
        assert ending is not None
        found.of_turn = self._about(live.turn, ending.state)
        if live.attempts:
            found.of_turn["turnline.attempt"] = live.attempts
        error = error_of(ending)
        if error is not None:
            found.error = cause_of(type(error)).name
            found.failed = ending.state is State.FAILED
        if found.run is not None:
            found.of_run = self._of_agent | _usage(live)
            found.of_run["gen_ai.conversation.id"] = live.turn.conversation
        self._end(found)

    async def close(self) -> None:
        """Have the last spans sent, for FLUSH_S at most; a thread that hangs stays behind."""
        if self._is_closed:
            return
        self._is_closed = True
        loop = asyncio.get_running_loop()
        flushed = asyncio.Event()

        def flush() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            with suppress(RuntimeError):  # The loop is closed.
                loop.call_soon_threadsafe(flushed.set)

        threading.Thread(target=flush, name="last spans", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await flushed.wait()

    # Traces.

    def _begin(self, origin: Origin) -> Trace:
        """In the caller's trace, and sampled if that is; else in one of its own."""
        if origin.traceparent:
            trace_id, span_id, flags = (int(x, 16) for x in origin.traceparent.split("-")[1:4])
            parent = SpanContext(trace_id, span_id, True, SAMPLED if flags & 1 else NOT_SAMPLED)
            return Trace(parent, child(parent))
        trace_id = getrandbits(128) or 1
        asked = self._provider.sampler.should_sample(None, trace_id, "turn", SpanKind.SERVER)
        sampled = SAMPLED if asked.decision is Decision.RECORD_AND_SAMPLE else NOT_SAMPLED
        return Trace(None, SpanContext(trace_id, getrandbits(64) or 1, False, sampled))

    def _about(self, turn: Turn, state: State) -> Attributes:
        about: Attributes = {
            "turnline.turn.id": turn.id,
            "turnline.outcome": state.value,
            "turnline.strategy": turn.strategy or self._settings.strategy.name,
            "gen_ai.conversation.id": turn.conversation,
        }
        if turn.caller:
            about["turnline.caller"] = turn.caller
        if self._settings.observability.log_messages:
            about["turnline.message"] = turn.message
        return about

    def _end(self, found: Trace) -> None:
        found.ended_at = monotonic_ns()
        # It passes on what is sampled, and looks at nothing else of it.
        self._processor.on_end(cast(ReadableSpan, found))


def _usage(live: LiveTurn) -> Attributes:
    """What the agent told last of its tokens."""
    for _, told in reversed(live.told):
        if told.kind == "usage":
            usage = from_json(told.data)
            return {f"gen_ai.usage.{name}": number for name, number in usage.items()}
    return {}
