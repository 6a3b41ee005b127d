"""Spans of turns, for OpenTelemetry: `turn`, and in it its `wait` and its `run`.

What happens to a turn is noted as a few numbers, and becomes spans when the turn ends (see
`otlp`). The agent is called in the context of `run`, so the spans of its own are children of
that one; those are made and sent by OpenTelemetry's SDK.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from random import getrandbits
from time import monotonic_ns

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from pydantic_core import from_json

import runner
from runner.api.problems import cause_of
from runner.settings import Settings
from runner.telemetry.otlp import Requests, TurnTrace, attribute, known_attribute
from runner.telemetry.sender import Sender, gone_within, started
from runner.turns.ending import error_of
from runner.turns.live_turn import LiveTurn
from runner.turns.observer import Observer
from runner.turns.origin import Origin
from strategies import State, Ticket, Turn, TurnError
from strategies.ticket import LocalTicket

FLUSH_S = 0.3
"""For the last spans, when the server ends. What is not sent by then is lost."""

MOST_OF_MESSAGE = 1_024
"""Characters. Thousands of turns may wait for a collector that is away."""

SAMPLED, NOT_SAMPLED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)

# A name of the module: in Python 3.11 `State.WAITING` takes ten times as long.
WAITING, FAILED = State.WAITING, State.FAILED


class Tracing(Observer):
    """Notes what happens to turns, and has their spans sent to `settings.observability.otel`.

    agent  what answers, in words.
    """

    def __init__(self, settings: Settings, agent: str) -> None:
        self._strategy = settings.strategy.name
        self._with_messages = settings.observability.log_messages
        url = f"{settings.observability.otel}".rstrip("/") + "/v1/traces"
        resource = _resource()
        # First of all, for it says what is wrong with OpenTelemetry's variables.
        self._sender = Sender(url, Requests(resource.attributes, "turnline", runner.__version__))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._of_agents = BatchSpanProcessor(OTLPSpanExporter(url))
        self._provider.add_span_processor(self._of_agents)
        sampler = self._provider.sampler
        self._sampler = None if sampler is DEFAULT_ON else sampler
        self._about_run = (
            attribute("gen_ai.operation.name", "invoke_agent")
            + attribute("gen_ai.agent.id", settings.agent.id)
            + attribute("gen_ai.agent.name", agent)
        )
        self._traces: dict[str, TurnTrace] = {}
        self._is_closed = False
        # The agent's own spans go the same way, unless its program has said where they go.
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(self._provider)

    # As an Observer.

    def submitting(self, live: LiveTurn, /) -> None:
        found = self._traces[live.turn.id] = self._begin(live.origin)
        live.trace_id = found.trace_id.hex()

    def accepted(self, live: LiveTurn, /) -> None:
        found = self._traces[live.turn.id]
        found.waits = True
        if live.ticket is not None and live.ticket.state is WAITING:
            found.position = _position(live.ticket)

    def refused(self, turn: Turn, error: TurnError, /) -> None:
        self._end(self._traces.pop(turn.id), turn, error.state, 0, error)

    def called(self, lives: Sequence[LiveTurn], /) -> None:
        if not lives:
            return
        now, first = monotonic_ns(), self._traces[lives[0].turn.id]
        first.called_at, first.elsewhere = now, None
        others = [self._traces[live.turn.id] for live in lives[1:]] if len(lives) > 1 else ()
        first.merged = [(other.trace_id, other.span_id) for other in others] if others else ()
        for other in others:
            other.called_at, other.elsewhere = now, (first.trace_id, first.run_id)
        flags = SAMPLED if first.sampled else NOT_SAMPLED
        ids = int.from_bytes(first.trace_id), int.from_bytes(first.run_id)
        run = NonRecordingSpan(SpanContext(*ids, False, flags))
        # To the end of the turn's own task.
        context.attach(trace.set_span_in_context(run))

    def stopped(self, lives: Sequence[LiveTurn], /) -> None:
        now = monotonic_ns()
        for live in lives:
            if live.turn.id in self._traces:  # Or it has ended before its agent.
                self._traces[live.turn.id].stopped_at = now

    def ended(self, live: LiveTurn, /) -> None:
        found, ending = self._traces.pop(live.turn.id), live.ending
        assert ending is not None
        error = None if ending.cause is None else error_of(ending)
        usage = _usage(live) if live.told else b""
        self._end(found, live.turn, ending.state, live.attempts, error, usage)

    async def close(self) -> None:
        """Have the last spans sent, for FLUSH_S at most; a thread that hangs stays behind."""
        if not self._is_closed:
            self._is_closed = True
            flush = self._of_agents.shutdown
            await gone_within(FLUSH_S, self._sender.close(), started("spans of agents", flush))

    # Traces.

    def _begin(self, origin: Origin) -> TurnTrace:
        """In the caller's trace, and sampled if that is; else in one of its own."""
        if origin.traceparent:
            _, trace_id, parent_id, flags = origin.traceparent.split("-")[:4]
            sampled = bool(int(flags, 16) & TraceFlags.SAMPLED)
            return TurnTrace(bytes.fromhex(trace_id), bytes.fromhex(parent_id), sampled)
        number = getrandbits(128) or 1
        if self._sampler is None:
            return TurnTrace(number.to_bytes(16), b"", True)
        decision = self._sampler.should_sample(None, number, "turn", SpanKind.SERVER).decision
        return TurnTrace(number.to_bytes(16), b"", decision is Decision.RECORD_AND_SAMPLE)

    def _end(
        self,
        found: TurnTrace,
        turn: Turn,
        state: State,
        attempts: int,
        error: TurnError | None,
        usage: bytes = b"",
    ) -> None:
        if not found.sampled:
            return
        found.ended_at = monotonic_ns()
        conversation = attribute("gen_ai.conversation.id", turn.conversation)
        about = conversation + attribute("turnline.turn.id", turn.id)
        about += _known(state, turn.strategy or self._strategy, attempts, turn.caller)
        about_run = self._about_run + conversation + usage
        if found.position is not None:
            about += attribute("turnline.position", found.position)
        if self._with_messages:
            about += attribute("turnline.message", turn.message[:MOST_OF_MESSAGE])
        if found.called_at and not found.stopped_at:
            about_run += known_attribute("turnline.agent_goes_on", True)
        if error is not None:
            cause = known_attribute("error.type", cause_of(type(error)).name)
            about, about_run = about + cause, about_run + cause
        self._sender.take(found.encoded(about, about_run, state is FAILED))


@lru_cache(maxsize=512)
def _known(outcome: State, strategy: str, attempts: int, caller: str) -> bytes:
    """What is said of many turns alike."""
    about = attribute("turnline.outcome", outcome) + attribute("turnline.strategy", strategy)
    if attempts:
        about += attribute("turnline.attempt", attempts)
    return about + attribute("turnline.caller", caller) if caller else about


def _resource() -> Resource:
    """This process, as OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES tell of it."""
    made = Resource({"service.version": runner.__version__}).merge(Resource.create())
    if str(made.attributes["service.name"]).startswith("unknown_service"):
        made = made.merge(Resource({"service.name": "turnline"}))
    return made


def _position(ticket: Ticket) -> int | None:
    if isinstance(ticket, LocalTicket):
        return ticket.position()
    place = ticket.place()
    return None if place is None else place.position


def _usage(live: LiveTurn) -> bytes:
    """What the agent told last of its tokens."""
    for _, told in reversed(live.told):
        if told.kind == "usage":
            usage = from_json(told.data)
            return b"".join(attribute(f"gen_ai.usage.{name}", usage[name]) for name in usage)
    return b""
