"""Which strategy, how many slots, which bound? Tried in virtual time until a target is met."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean, median

from loadtests.measures.figures import answered_after, figures, percentile
from loadtests.simulation.simulate import simulate
from loadtests.workloads.in_words import parse_seconds
from loadtests.workloads.workload import Workload
from strategies import Limits

SLOTS = (1, 2, 4, 8, 16, 32, 64)
BOUNDS = (2, 5, 10, 20, 50, 100)
PATTERN = re.compile(r"p(\d{1,2}(?:\.\d+)?) under (\S+)(?: for (\d+(?:\.\d+)?) ?% of users)?")


@dataclass(frozen=True, slots=True)
class Target:
    """`share` of all users are answered, and this percentile of them within the limit."""

    percentile: float
    limit_s: float
    share: float

    @classmethod
    def parse(cls, text: str) -> Target:
        """From `p95 under 30s for 99% of users`. Raises ValueError."""
        match = PATTERN.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'{text!r} is not such as "p95 under 30s for 99% of users"')
        share = float(match[3] or 99) / 100
        return cls(float(match[1]) / 100, parse_seconds(match[2]), share)

    def __str__(self) -> str:
        return (
            f"p{self.percentile * 100:.3g} of those answered under {self.limit_s:g} s, "
            f"{self.share:.3%} of users answered".replace(".000%", " %")
        )


@dataclass(frozen=True, slots=True)
class Setup:
    """What would stand in the settings."""

    strategy: str
    slots: int
    bound: int

    @property
    def limits(self) -> Limits:
        return Limits(max_running=self.slots, max_waiting_per_conversation=self.bound)

    def __str__(self) -> str:
        if self.strategy != "queue":
            return self.strategy
        return f"queue, {self.slots} slots, bound {self.bound}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A setup and what came of it: means (medians for percentiles) over the seeds.

    Times in seconds; p50, p95 and p99 of all users, inf for "never". `at_target` is the
    target's percentile of those who were answered.
    """

    setup: Setup
    served: float
    in_time: float
    p50_s: float
    p95_s: float
    p99_s: float
    attempts: float
    wasted: float
    waiting_most: float
    at_target_s: float = inf

    def meets(self, target: Target) -> bool:
        return self.served >= target.share and self.at_target_s <= target.limit_s


def try_out(setup: Setup, traffic: Sequence[Workload], target: Target | None = None) -> Outcome:
    """The setup under each of the workloads."""
    found, at_target = [], []
    for workload in traffic:
        run = simulate(setup.strategy, workload, limits=setup.limits)
        found.append(figures(run, workload))
        if target is not None:
            answered = (answered_after(turn) for turn in run.turns if turn.answer)
            at_target.append(percentile(answered, target.percentile))
    unit_s = traffic[0].service_s
    return Outcome(
        setup,
        served=fmean(f["served"] for f in found),
        in_time=fmean(f["in_time"] for f in found),
        p50_s=median(f["p50"] for f in found) * unit_s,
        p95_s=median(f["p95"] for f in found) * unit_s,
        p99_s=median(f["p99"] for f in found) * unit_s,
        attempts=fmean(f["attempts"] for f in found),
        wasted=fmean(f["wasted"] for f in found),
        waiting_most=max(f["depth_max"] for f in found),
        at_target_s=median(at_target) if at_target else inf,
    )


def candidates(strategies: Sequence[str], slots: int) -> list[Setup]:
    """The setups that are compared: the server's defaults, with so many slots."""
    return [Setup(name, slots, Limits().max_waiting_per_conversation) for name in strategies]


def recommend(
    strategies: Sequence[str],
    traffic: Sequence[Workload],
    target: Target,
    begin: Callable[[Setup], None],
) -> Iterator[Outcome]:
    """Setups in the order in which they are tried, up to the best one, which is the last.

    `begin` is told of each before it is tried.

    The fewest slots with which queue meets the target; then the smallest bound that
    still does; and lock or reject only where they do and queue does not. Where none
    does, the last is the one that serves most.
    """
    tried: list[Outcome] = []

    def attempt(setup: Setup) -> Outcome:
        begin(setup)
        tried.append(try_out(setup, traffic, target))
        return tried[-1]

    widest = Limits().max_waiting_per_conversation
    if "queue" in strategies:
        for slots in SLOTS:
            outcome = attempt(Setup("queue", slots, widest))
            yield outcome
            if outcome.meets(target):
                for bound in BOUNDS:
                    narrower = attempt(Setup("queue", slots, bound))
                    yield narrower
                    if narrower.meets(target):
                        return
                yield outcome
                return
            if _slots_change_nothing(tried):
                break
    for name in strategies:
        if name != "queue":
            outcome = attempt(Setup(name, SLOTS[-1], widest))
            yield outcome
            if outcome.meets(target):
                return
    yield max(tried, key=lambda outcome: outcome.served)


def _slots_change_nothing(tried: Sequence[Outcome]) -> bool:
    """The last doubling served no more: something else is the bound."""
    return len(tried) > 2 and tried[-1].served <= tried[-3].served + 0.001
