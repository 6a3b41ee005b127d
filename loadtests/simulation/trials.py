"""What comes of a setup under some traffic, and whether that meets a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean, median

from loadtests.measures.figures import answered_after, figures, is_served, percentile
from loadtests.measures.intervals import Effect, paired
from loadtests.measures.records import Run
from loadtests.simulation.setups import Setup, Target
from loadtests.simulation.simulate import simulate
from loadtests.workloads.workload import Workload


@dataclass(frozen=True, slots=True)
class Score:
    """What counts of one run, as shares of its users.

    served    had an answer within the timeout of the attempt that was answered.
    spare     answered within the target's limit, less what its percentile asks for of those
              answered: 0 or more where the percentile is under the limit.
    """

    served: float
    spare: float


def score(run: Run, target: Target) -> Score:
    users = len(run.turns)
    answered = [answered_after(turn) for turn in run.turns if turn.answer]
    early = sum(after_s <= target.limit_s for after_s in answered)
    return Score(
        served=sum(map(is_served, run.turns)) / users,
        spare=(early - target.percentile * len(answered)) / users,
    )


def mean(scores: Sequence[Score]) -> Score:
    return Score(fmean(each.served for each in scores), fmean(each.spare for each in scores))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A setup and what came of it: means (medians for percentiles) over the runs.

    Times in seconds; p50, p95 and p99 of all users, inf for "never". `at_target_s` is the
    target's percentile of those who were answered, in all runs together; `scores`, one
    for each run, are empty where there is no target.
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
    scores: tuple[Score, ...] = ()

    def meets(self, target: Target) -> bool:
        return meets(mean(self.scores), target)

    def clearly_meets(self, target: Target) -> bool:
        """Neither of the target's two figures could have been missed by chance (95 %)."""
        return all(each.low is not None and each.low >= 0 for each in self._over(target))

    def clearly_misses(self, target: Target) -> bool:
        """One of the target's two figures is missed by more than chance does (95 %)."""
        return any(each.high is not None and each.high < 0 for each in self._over(target))

    def lead_over(self, other: Outcome) -> Effect:
        """In users served, run by run of the same traffic."""
        return _paired(_served(self), _served(other))

    def served_share(self) -> Effect:
        """The users served, with an interval."""
        return _paired(_served(self), [0.0] * len(self.scores))

    def _over(self, target: Target) -> tuple[Effect, Effect]:
        zeros = [0.0] * len(self.scores)
        return (
            _paired(_served(self), [target.share] * len(self.scores)),
            _paired([each.spare for each in self.scores], zeros),
        )


def meets(found: Score, target: Target) -> bool:
    """1e-9: a share that is exactly what was asked for must not fail by its rounding."""
    return found.served >= target.share - 1e-9 and found.spare >= -1e-9


def try_out(setup: Setup, traffic: Sequence[Workload], target: Target | None = None) -> Outcome:
    """The setup under each of the workloads."""
    runs = [
        simulate(setup.strategy, workload, limits=setup.limits, chain=False) for workload in traffic
    ]
    found = [figures(run, workload) for run, workload in zip(runs, traffic, strict=True)]
    unit_s = traffic[0].service_s
    answered = [answered_after(turn) for run in runs for turn in run.turns if turn.answer]
    return Outcome(
        setup,
        served=fmean(fmean(map(is_served, run.turns)) for run in runs),
        in_time=fmean(f["in_time"] for f in found),
        p50_s=median(f["p50"] for f in found) * unit_s,
        p95_s=median(f["p95"] for f in found) * unit_s,
        p99_s=median(f["p99"] for f in found) * unit_s,
        attempts=fmean(f["attempts"] for f in found),
        wasted=fmean(f["wasted"] for f in found),
        waiting_most=max(f["depth_max"] for f in found),
        at_target_s=percentile(answered, target.percentile) if target and answered else inf,
        scores=tuple(score(run, target) for run in runs) if target else (),
    )


def _served(outcome: Outcome) -> list[float]:
    return [each.served for each in outcome.scores]


def _paired(one: Sequence[float], other: Sequence[float]) -> Effect:
    effect = paired(one, other)
    assert effect is not None  # Shares are finite.
    return effect
