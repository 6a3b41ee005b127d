"""A comparison's figures by strategy, workload and seed; what all of the report reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite, isnan, nan
from statistics import fmean, median
from typing import Any

from loadtests.controls import is_control
from loadtests.measures.figures import LAG_LIMIT_S, Figures
from loadtests.measures.histories import Findings
from loadtests.measures.intervals import Effect, paired
from loadtests.report.rows import MEASURED, SIMULATED, Row, read
from loadtests.runs.plan import Folder, Plan

QUANTILES = ("p50", "p95", "p99", "quiet_p95", "depth_max")
"""Measures whose middle over the runs is told by the median, for some may be infinite."""


@dataclass(frozen=True)
class Results:
    """Runs and what each came to; `rows` of both kinds, measured and simulated."""

    about: Mapping[str, Any]
    plan: Plan
    rows: Sequence[Row]

    @classmethod
    def of(cls, folder: Folder) -> Results:
        """From the folder's raw data, or from its figures.csv where those are not there."""
        return cls(folder.about(), folder.plan(), read(folder))

    @cached_property
    def runs(self) -> list[Row]:
        """The real runs."""
        return [row for row in self.rows if row.how == MEASURED]

    @property
    def is_simulated(self) -> bool:
        """Whether there are simulated runs to hold the real ones against."""
        return any(row.how == SIMULATED for row in self.rows)

    @cached_property
    def strategies(self) -> list[str]:
        there = {row.strategy for row in self.runs}
        return [name for name in self.plan.strategies if name in there]

    @cached_property
    def workloads(self) -> list[str]:
        there = {row.workload for row in self.runs}
        return [name for name in self.plan.workloads if name in there]

    @property
    def subject(self) -> str:
        """The strategy whose differences from the others are told."""
        return "queue" if "queue" in self.strategies else self.strategies[0]

    @property
    def others(self) -> list[str]:
        """The strategies that it is held against: all but itself and the controls."""
        return [n for n in self.strategies if n != self.subject and not is_control(n)]

    @cached_property
    def _by_run(self) -> dict[tuple[str, str, str], dict[int, Figures]]:
        """(how, strategy, workload) -> seed -> figures."""
        found: dict[tuple[str, str, str], dict[int, Figures]] = defaultdict(dict)
        for row in self.rows:
            found[row.how, row.strategy, row.workload][row.seed] = row.figures
        return found

    def figures(self, strategy: str, workload: str, how: str = MEASURED) -> Mapping[int, Figures]:
        """Seed -> figures; empty where there was no such run."""
        return self._by_run.get((how, strategy, workload), {})

    def values(
        self, strategy: str, workload: str, measure: str, how: str = MEASURED
    ) -> list[float]:
        """One figure for each seed, in order of the seeds."""
        return [each[measure] for _, each in sorted(self.figures(strategy, workload, how).items())]

    def middle(self, strategy: str, workload: str, measure: str, how: str = MEASURED) -> float:
        """The mean over the runs; the median for quantiles, which may be infinite."""
        values = [v for v in self.values(strategy, workload, measure, how) if not isnan(v)]
        if not values:
            return nan
        if measure in QUANTILES:
            return median(values)
        return inf if inf in values else fmean(values)

    def both(self, strategy: str, workload: str, measure: str) -> tuple[float, float] | None:
        """Measured and simulated, means over the seeds that have both; None where none has."""
        ways = [self.figures(strategy, workload, how) for how in (MEASURED, SIMULATED)]
        seeds = sorted(ways[0].keys() & ways[1].keys())
        pairs = [(ways[0][seed][measure], ways[1][seed][measure]) for seed in seeds]
        finite = [pair for pair in pairs if all(map(isfinite, pair))]
        if not finite:
            return None
        return fmean(real for real, _ in finite), fmean(virtual for _, virtual in finite)

    def effect(self, workload: str, measure: str, other: str) -> Effect | None:
        """The subject less the other, over the seeds that both have."""
        key = workload, measure, other
        if key not in self._effects:
            self._effects[key] = self._paired(*key)
        return self._effects[key]

    @cached_property
    def _effects(self) -> dict[tuple[str, str, str], Effect | None]:
        """What `effect` has found, for its intervals take long."""
        return {}

    def _paired(self, workload: str, measure: str, other: str) -> Effect | None:
        one, two = self.figures(self.subject, workload), self.figures(other, workload)
        seeds = sorted(one.keys() & two.keys())
        return paired([one[s][measure] for s in seeds], [two[s][measure] for s in seeds])

    @cached_property
    def findings(self) -> dict[str, Findings]:
        """All faults of each strategy's real runs, added up."""
        found = {name: Findings() for name in self.strategies}
        for row in self.runs:
            found[row.strategy] += row.faults
        return found

    @cached_property
    def late(self) -> list[Row]:
        """Runs whose generator was late; they measured it rather than the server."""
        return [row for row in self.runs if row.lag_ms > LAG_LIMIT_S * 1000]

    @cached_property
    def repeated(self) -> int:
        """Batches that were measured again: the runs of one workload and seed."""
        return len({(row.workload, row.seed) for row in self.runs if row.repeats})

    @property
    def batches(self) -> int:
        return len({(row.workload, row.seed) for row in self.runs})

    def turns(self, strategy: str) -> int:
        return sum(row.turns for row in self.runs if row.strategy == strategy)

    def crossings(self, strategy: str) -> int:
        """Turns that another process ran than the one before them in their conversation."""
        return sum(row.crossings for row in self.runs if row.strategy == strategy)

    def kept(self, strategy: str) -> int:
        """Turns in its histories at the end of its runs."""
        return sum(row.kept for row in self.runs if row.strategy == strategy)
