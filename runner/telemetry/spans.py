"""What is noted of a turn, and the spans that are made of it where they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from random import getrandbits
from time import monotonic_ns, time_ns

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

import runner

Attributes = dict[str, str | int | float | bool]

SCOPE = InstrumentationScope("turnline", runner.__version__)
UNSET, ERROR = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


class Trace:
    """A turn's instants, by `time.monotonic_ns`, and what is said of it.

    parent         the caller's span, or None.
    turn, run      the contexts of its spans; no `run` where its agent was not called, or
                   was called for a turn with which it was merged: that is `run_elsewhere`.
    merged         the spans of the turns for which it runs too.
    error, failed  the name of the cause where it has no reply, and if that is a fault.
    of_turn, of_run  the attributes.
    """

    __slots__ = (
        "began_at", "called_at", "ended_at", "error", "failed", "merged", "of_run", "of_turn",
        "parent", "position", "run", "run_elsewhere", "since", "stopped_at", "turn", "was_taken",
    )  # fmt: skip

    def __init__(self, parent: SpanContext | None, turn: SpanContext) -> None:
        self.parent = parent
        self.turn = turn
        self.began_at = self.ended_at = monotonic_ns()
        self.since = time_ns() - self.began_at
        self.called_at: int | None = None
        self.stopped_at: int | None = None
        self.position: int | None = None
        self.was_taken = False
        self.run: SpanContext | None = None
        self.run_elsewhere: SpanContext | None = None
        self.merged: Sequence[SpanContext] = ()
        self.error: str | None = None
        self.failed = False
        self.of_turn: Attributes = {}
        self.of_run: Attributes = {}

    @property
    def context(self) -> SpanContext:
        """As a span has it."""
        return self.turn

    def spans(self, resource: Resource) -> list[ReadableSpan]:
        if self.error is not None:
            self.of_turn["error.type"] = self.error
        if self.position is not None:
            self.of_turn["turnline.position"] = self.position
        links = () if self.run_elsewhere is None else (Link(self.run_elsewhere),)
        made = [self._turn(resource, links)]
        if self.was_taken:
            made.append(self._wait(resource))
        if self.run is not None:
            made.append(self._run(resource, self.run))
        return made

    def _turn(self, resource: Resource, links: Sequence[Link]) -> ReadableSpan:
        return ReadableSpan(
            "turn",
            self.turn,
            self.parent,
            resource,
            self.of_turn,
            links=links,
            kind=SpanKind.SERVER,
            status=ERROR if self.failed else UNSET,
            start_time=self.since + self.began_at,
            end_time=self.since + self.ended_at,
            instrumentation_scope=SCOPE,
        )

    def _wait(self, resource: Resource) -> ReadableSpan:
        ended_at = self.ended_at if self.called_at is None else self.called_at
        return ReadableSpan(
            "wait",
            child(self.turn),
            self.turn,
            resource,
            start_time=self.since + self.began_at,
            end_time=self.since + ended_at,
            instrumentation_scope=SCOPE,
        )

    def _run(self, resource: Resource, run: SpanContext) -> ReadableSpan:
        if self.error is not None:
            self.of_run["error.type"] = self.error
        ended_at = self.stopped_at
        if ended_at is None:
            ended_at, self.of_run["turnline.agent_goes_on"] = self.ended_at, True
        return ReadableSpan(
            "run",
            run,
            self.turn,
            resource,
            self.of_run,
            links=[Link(one) for one in self.merged],
            status=ERROR if self.failed else UNSET,
            start_time=self.since + (self.called_at or self.began_at),
            end_time=self.since + ended_at,
            instrumentation_scope=SCOPE,
        )


class Exporter(SpanExporter):
    """Sends spans to a URL: those of agents as they are, and those that are made of a Trace."""

    def __init__(self, url: str, resource: Resource) -> None:
        self._resource = resource
        self._otlp = OTLPSpanExporter(url)

    def export(self, spans: Sequence[ReadableSpan | Trace]) -> SpanExportResult:
        made: list[ReadableSpan] = []
        for one in spans:
            if isinstance(one, Trace):
                made += one.spans(self._resource)
            else:
                made.append(one)
        return self._otlp.export(made)

    def shutdown(self) -> None:
        self._otlp.shutdown()  # type: ignore[no-untyped-call]


class _Resource(Resource):
    """One of a kind: the SDK's own makes JSON of all of it for each span."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def make_resource() -> Resource:
    """This process, as OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES tell of it."""
    made = Resource.create()
    if str(made.attributes["service.name"]).startswith("unknown_service"):
        made = made.merge(Resource({"service.name": "turnline"}))
    version = Resource({"service.version": runner.__version__})
    made = version.merge(made)
    return _Resource(dict(made.attributes), made.schema_url)


def child(parent: SpanContext) -> SpanContext:
    """A new span's, in the trace of this one."""
    return SpanContext(parent.trace_id, getrandbits(64) or 1, False, parent.trace_flags)
