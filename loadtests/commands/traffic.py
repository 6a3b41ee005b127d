"""The traffic that the options of `runner simulate` describe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.simulation.advice import Traffic
    from loadtests.workloads.workload import Workload

SEEDS, FRESH = 3, 20
"""Runs by default: to compare, and to judge what a search recommends."""
USERS, MOST_USERS = 400, 2_000
PATIENCES = 3
"""A run of a search has so many users and, if they are not too many, so many patiences."""
PART = 100
"""Users, or nearly, of each part in which a log is cut for a search; 2 * FRESH at most."""


@dataclass(frozen=True, slots=True)
class Words:
    """The options, as they were typed; `duration` and `seeds` None where they were not."""

    arrivals: str
    service: str
    clients: str
    conversations: int
    duration: str | None
    backends: int | None
    trace: Path | None
    workload: str | None
    seeds: int | None

    def to_compare(self) -> tuple[Workload, ...]:
        """A run for each seed, or the log itself. Raises ValueError."""
        if self.trace is not None:
            return (self._log(self.trace),)
        return tuple(self._run(seed, self.duration or "2h") for seed in _from(1, self.seeds, SEEDS))

    def to_search(self) -> Traffic:
        """Runs to look at, and others to judge on; as short as they may be. Raises ValueError."""
        from loadtests.simulation.advice import Traffic
        from loadtests.simulation.screening import ALL

        if self.trace is not None:
            parts = cut(self._log(self.trace), 2 * FRESH)
            return Traffic(parts[::2], parts[1::2] or parts)
        length = self.duration or f"{self._enough_s()}s"
        return Traffic(
            tuple(self._run(seed, length) for seed in _from(1, None, ALL)),
            tuple(self._run(seed, length) for seed in _from(1_001, self.seeds, FRESH)),
        )

    def _log(self, path: Path) -> Workload:
        from loadtests.workloads.traces import from_trace

        return replace(from_trace(path), backends=self.backends)

    def _run(self, seed: int, duration: str) -> Workload:
        """A workload of the comparison in service times of 1 s, or what the words say."""
        from loadtests.workloads import in_words
        from loadtests.workloads.shapes import make

        if self.workload is not None:
            return make(self.workload, seed, service_s=1.0)
        mean_s, draw = in_words.parse_service(self.service)
        return in_words.make_traffic(
            in_words.parse_rate(self.arrivals),
            (mean_s, draw),
            in_words.parse_clients(self.clients, mean_s),
            duration_s=in_words.parse_seconds(duration),
            conversations=self.conversations,
            backends=self.backends,
            seed=seed,
        )

    def _enough_s(self) -> float:
        """Seconds in which USERS come, or the line has settled; MOST_USERS at most."""
        from loadtests.workloads import in_words

        rate = in_words.parse_rate(self.arrivals)
        mean_s, _ = in_words.parse_service(self.service)
        patience_s = in_words.parse_clients(self.clients, mean_s).patience * mean_s
        return min(max(USERS / rate, PATIENCES * patience_s), MOST_USERS / rate)


def _from(first: int, count: int | None, default: int) -> range:
    return range(first, first + (count or default))


def cut(log: Workload, most: int) -> tuple[Workload, ...]:
    """The log in parts with as many turns each, `most` at most; whole if it is short."""
    turns = log.arrivals
    parts = min(most, len(turns) // PART)
    if parts < 2:
        return (log,)
    edges = [len(turns) * part // parts for part in range(parts + 1)]
    return tuple(
        _part(log, number, low, high) for number, (low, high) in enumerate(pairwise(edges))
    )


def _part(log: Workload, number: int, low: int, high: int) -> Workload:
    """The turns from `low` to `high`, with a clock of their own."""
    turns = log.arrivals[low:high]
    begin_s = turns[0].due_s
    arrivals = tuple(replace(turn, due_s=turn.due_s - begin_s) for turn in turns)
    horizon_s = arrivals[-1].due_s or log.service_s
    return replace(log, seed=number, horizon_s=horizon_s, arrivals=arrivals)
