"""What `GET /metrics` shows of one service: its names, what they count, and where that is read.

Counters and gauges are read when somebody asks, where `/health` reads them, so the two cannot
disagree. Only durations are noted as they happen. No label has a conversation, a caller or a
turn, and every label value is there from the start: the number of series never changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from runner import __version__
from runner.api.problems import INTERNAL, TURN_CAUSES, cause_of
from runner.store.timing import OPERATIONS, Operation
from runner.turns.live_turn import LiveTurn
from runner.turns.observer import Observer
from strategies import Load, State

if TYPE_CHECKING:
    from runner.turns.service import Service

OUTCOMES = (
    State.ANSWERED, State.FAILED, State.CANCELLED, State.EXPIRED, State.INTERRUPTED,
    State.REFUSED,
)  # fmt: skip
"""How accepted turns end; `refused` are those that waited when the server shut down."""

CAUSES = tuple(dict.fromkeys(cause.name for cause in (*TURN_CAUSES.values(), INTERNAL)))

TURN_BUCKETS = (
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600,
)  # fmt: skip
"""Seconds. Below 10 ms nobody waits; a turn of an LLM takes half a second to minutes."""

STORE_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
)  # fmt: skip
"""Seconds. From a look into memory over a synced commit to a disk that stalls."""


class Metrics(Observer):
    """The figures of this service, in a registry of their own: a process may have several."""

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self._wait_s = self._of_turns("turn_wait", "Submission to start, or to end without one")
        self._run_s = self._of_turns("turn_run", "Start of a turn to its end")
        self._first_s = self._of_turns(
            "time_to_first_piece", "Submission to the first text or use of a tool"
        )
        store_s = Histogram(
            "turnline_store",
            "What the store took for an operation",
            ["operation"],
            unit="seconds",
            registry=self._registry,
            buckets=STORE_BUCKETS,
        )
        self._store_s = {name: store_s.labels(name) for name in OPERATIONS}
        self._registry.register(_Read(service))
        ProcessCollector(registry=self._registry)

    def shown(self, accept: str) -> tuple[str, bytes]:
        """Media type and text: OpenMetrics for those who accept it, else Prometheus' own."""
        encode, media_type = choose_encoder(accept)
        return media_type, encode(self._registry)

    def ended(self, live: LiveTurn, /) -> None:
        ending = live.ending
        assert ending is not None
        self._wait_s.observe(ending.waited_s)
        if ending.ran_s:
            self._run_s.observe(ending.ran_s)
        if live.first_piece_s is not None:
            self._first_s.observe(live.first_piece_s)
        elif ending.reply is not None:
            self._first_s.observe(ending.waited_s + ending.ran_s)

    def stored(self, operation: Operation, seconds: float, /) -> None:
        self._store_s[operation].observe(seconds)

    def _of_turns(self, name: str, about: str) -> Histogram:
        registry, buckets = self._registry, TURN_BUCKETS
        name = f"turnline_{name}"
        return Histogram(name, about, unit="seconds", registry=registry, buckets=buckets)


class _Read(Collector):
    """What is read when it is asked for, all in one tick."""

    def __init__(self, service: Service) -> None:
        self._service = service
        about = {"version": __version__, "strategy": service.settings.strategy.name}
        self._info = InfoMetricFamily("turnline", "What is running", about)

    def collect(self) -> Iterator[Metric]:
        load = self._service.load()
        lag_s = self._service.lag.worst_s
        yield self._info
        yield self._turns(load)
        yield self._refusals()
        yield _gauge("turns_waiting", "Accepted turns that have not started", load.waiting)
        yield _gauge("turns_running", "Turns that have a slot", load.running)
        yield _gauge("oldest_wait_seconds", "What the first in line has waited", load.oldest_wait_s)
        yield _gauge("event_loop_lag_seconds", "The event loop's worst delay in 30 s", lag_s)
        yield from self._system()

    def _turns(self, load: Load) -> Metric:
        about = "Accepted turns that have ended"
        family = CounterMetricFamily("turnline_turns", about, labels=["outcome"])
        for outcome in OUTCOMES:
            family.add_metric([outcome.value], load.ended.get(outcome, 0))
        return family

    def _refusals(self) -> Metric:
        counts: Counter[str] = Counter()
        for (_, error), count in self._service.refusals.items():
            counts[cause_of(error).name] += count
        about = "Turns that were not accepted"
        family = CounterMetricFamily("turnline_refusals", about, labels=["cause"])
        for cause in CAUSES:
            family.add_metric([cause], counts[cause])
        return family

    def _system(self) -> Iterator[Metric]:
        """Of all processes that serve the same store; nothing while that cannot be reached."""
        figures = self._service.system
        if figures is None or (reading := figures.latest()) is None:
            return
        system, count = reading.system, len(reading.system.processes)
        oldest_s = system.oldest_wait_s
        yield _gauge("system_turns_waiting", "Turns of all processes that wait", system.waiting)
        yield _gauge("system_turns_running", "Turns of all processes that run", system.running)
        yield _gauge("system_processes", "Processes that serve the same store", count)
        yield _gauge("system_oldest_wait_seconds", "What the oldest of all has waited", oldest_s)


def _gauge(name: str, about: str, value: float) -> Metric:
    unit = "seconds" if name.endswith("_seconds") else ""
    return GaugeMetricFamily(f"turnline_{name}", about, value, unit=unit)
