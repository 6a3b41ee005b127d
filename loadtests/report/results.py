"""A comparison's runs as figures, by strategy, workload and seed; what all of the report reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isnan, nan
from statistics import fmean, median
from typing import Any

from loadtests.controls import is_control
from loadtests.measures.figures import LAG_LIMIT_S, MEASURES, Figures, figures, lag_s
from loadtests.measures.histories import Findings
from loadtests.measures.intervals import Effect, paired
from loadtests.measures.records import Run
from loadtests.runs.plan import Folder, Plan, findings_by_strategy, make
from loadtests.workloads.workload import Workload

QUANTILES = ("p50", "p95", "p99", "quiet_p95", "depth_max")
"""Measures whose middle over the runs is told by the median, for some may be infinite."""


@dataclass(frozen=True)
class Results:
    """Runs and what each came to."""

    about: Mapping[str, Any]
    plan: Plan
    runs: Sequence[Run]

    @classmethod
    def of(cls, folder: Folder) -> Results:
        runs = sorted(folder.runs(), key=lambda run: (run.workload, run.strategy, run.seed))
        return cls(folder.about(), folder.plan(), runs)

    @cached_property
    def strategies(self) -> list[str]:
        there = {run.strategy for run in self.runs}
        return [name for name in self.plan.strategies if name in there]

    @cached_property
    def workloads(self) -> list[str]:
        there = {run.workload for run in self.runs}
        return [name for name in self.plan.workloads if name in there]

    @property
    def subject(self) -> str:
        """The strategy whose differences from the others are told."""
        return "queue" if "queue" in self.strategies else self.strategies[0]

    @property
    def others(self) -> list[str]:
        """The strategies that it is held against: all but itself and the controls."""
        return [n for n in self.strategies if n != self.subject and not is_control(n)]

    def workload(self, run: Run) -> Workload:
        return make(self.plan, run.workload, run.seed)

    @cached_property
    def figures(self) -> dict[tuple[str, str], dict[int, Figures]]:
        """(strategy, workload) -> seed -> figures."""
        found: dict[tuple[str, str], dict[int, Figures]] = defaultdict(dict)
        for run in self.runs:
            key = run.strategy, run.workload
            found[key][run.seed] = figures(run, self.workload(run))
        return found

    def values(self, strategy: str, workload: str, measure: str) -> list[float]:
        """One figure for each seed, in order of the seeds."""
        by_seed = self.figures.get((strategy, workload), {})
        return [by_seed[seed][measure] for seed in sorted(by_seed)]

    def middle(self, strategy: str, workload: str, measure: str) -> float:
        """The mean over the runs; the median for quantiles, which may be infinite."""
        values = [v for v in self.values(strategy, workload, measure) if not isnan(v)]
        if not values:
            return nan
        if measure in QUANTILES:
            return median(values)
        return inf if inf in values else fmean(values)

    def effect(self, workload: str, measure: str, other: str) -> Effect | None:
        """The subject less the other, over the seeds that both have."""
        one = self.figures.get((self.subject, workload), {})
        two = self.figures.get((other, workload), {})
        seeds = sorted(one.keys() & two.keys())
        return paired([one[s][measure] for s in seeds], [two[s][measure] for s in seeds])

    @cached_property
    def findings(self) -> dict[str, Findings]:
        return findings_by_strategy(self.runs, self.workload)

    @cached_property
    def late(self) -> list[Run]:
        """Runs whose generator was late; they measured it rather than the server."""
        return [run for run in self.runs if lag_s(run) > LAG_LIMIT_S]

    def turns(self, strategy: str) -> int:
        return sum(len(run.turns) for run in self.runs if run.strategy == strategy)

    def run(self, strategy: str, workload: str, seed: int = 1) -> Run | None:
        for run in self.runs:
            if (run.strategy, run.workload, run.seed) == (strategy, workload, seed):
                return run
        return None


def show(value: float, measure: str = "") -> str:
    """A figure as reports have it: `0.84`, `12.4`, `never`, `-`."""
    if isnan(value):
        return "-"
    if value == inf:
        return "never"
    unit = MEASURES[measure].unit if measure else "share"
    digits = 2 if unit in ("share", "share of capacity", "Jain's index") or value < 10 else 1
    return f"{value:.{digits}f}"


def show_effect(effect: Effect | None, *, runs: bool = True) -> str:
    """`+0.31 [+0.27, +0.36], 10 runs`; without an interval where the runs are too few."""
    if effect is None:
        return "-"
    text = _signed(effect.mean)
    if effect.low is not None and effect.high is not None:
        text += f" [{_signed(effect.low)}, {_signed(effect.high)}]"
    if not runs:
        return text
    return f"{text}, {effect.runs} {'run' if effect.runs == 1 else 'runs'}"


def _signed(value: float) -> str:
    text = f"{value:+.2f}" if abs(value) < 10 else f"{value:+.1f}"
    return "0.00" if text in ("+0.00", "-0.00") else text
