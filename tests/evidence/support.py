"""Seeds of a workload in virtual time, under the real strategy classes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from statistics import fmean
from typing import Any

from loadtests.controls import find
from loadtests.measures.figures import Figures, figures
from loadtests.measures.histories import Findings, check
from loadtests.measures.intervals import Effect, paired
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import make
from strategies import Limits
from strategies.testing import Rig, run

SEEDS = range(1, 11)
MORE_SEEDS = {"overload-2": range(1, 31)}
"""Where an effect is small against its spread, ten seeds show it only by luck."""


@cache
def _figures(strategy: str, workload: str) -> tuple[Figures, ...]:
    made = [make(workload, seed) for seed in MORE_SEEDS.get(workload, SEEDS)]
    return tuple(figures(simulate(strategy, each), each) for each in made)


def values(strategy: str, workload: str, measure: str) -> list[float]:
    return [each[measure] for each in _figures(strategy, workload)]


def mean(strategy: str, workload: str, measure: str) -> float:
    return fmean(values(strategy, workload, measure))


def effect(workload: str, measure: str, one: str, other: str) -> Effect:
    """`one - other`, paired by seed, with its 95 % interval."""
    found = paired(values(one, workload, measure), values(other, workload, measure))
    assert found is not None
    return found


def clearly_more(workload: str, measure: str, one: str, other: str) -> bool:
    found = effect(workload, measure, one, other)
    return found.low is not None and found.low > 0


def faults(strategy: str, workload: str, seed: int = 1) -> Findings:
    made = make(workload, seed)
    return check(simulate(strategy, made), made)


def play(name: str, scene: Callable[[Rig], Awaitable[None]], **limits: Any) -> None:
    """Play the scene with a strategy over the scripted agent, in virtual time."""

    async def live() -> None:
        await scene(Rig(find(name), Limits(**limits)))

    run(live())
