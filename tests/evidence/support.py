"""Seeds of a workload in virtual time, under the real strategy classes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from statistics import fmean
from typing import Any

from loadtests.controls import find
from loadtests.measures.figures import Figures, figures, main_figures
from loadtests.measures.histories import Findings, check
from loadtests.measures.intervals import Effect, paired
from loadtests.measures.records import Run
from loadtests.simulation.cells import SHAPES, TIMEOUT, Cell
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import make
from loadtests.workloads.workload import Workload
from strategies import Limits
from strategies.testing import Rig, run

SEEDS = range(1, 11)
MAIN = ("served", "in_time", "goodput", "attempts")
"""Which take a fraction of the time that all take."""


def workload(name: str, seed: int) -> Workload:
    """A named one, or a cell of the matrix: `told backoff 2 one exponential`, and its timeout."""
    words = name.split()
    if len(words) == 1:
        return make(name, seed)
    told, retry, load, shape, service, *timeout = words
    assert shape in SHAPES
    cell = Cell(told, retry, float(load), shape, service, float(timeout[0]) if timeout else TIMEOUT)
    return cell.workload(seed)


@cache
def _runs(strategy: str, name: str) -> tuple[tuple[Run, Workload], ...]:
    made = [workload(name, seed) for seed in SEEDS]
    return tuple((simulate(strategy, each, chain=False), each) for each in made)


@cache
def _figures(strategy: str, name: str, *, every: bool) -> tuple[Figures, ...]:
    count = figures if every else main_figures
    return tuple(count(*each) for each in _runs(strategy, name))


def values(strategy: str, name: str, measure: str) -> list[float]:
    found = _figures(strategy, name, every=measure not in MAIN)
    return [each[measure] for each in found]


def mean(strategy: str, name: str, measure: str) -> float:
    return fmean(values(strategy, name, measure))


def effect(name: str, measure: str, one: str, other: str) -> Effect:
    """`one - other`, paired by seed, with its 95 % interval."""
    found = paired(values(one, name, measure), values(other, name, measure))
    assert found is not None
    return found


def clearly_more(name: str, measure: str, one: str, other: str, by: float = 0.0) -> bool:
    """The interval lies above 0, and the mean above `by`."""
    found = effect(name, measure, one, other)
    return found.low is not None and found.low > 0 and found.mean > by


def clearly_less(name: str, measure: str, one: str, other: str, by: float = 0.0) -> bool:
    return clearly_more(name, measure, other, one, by)


def faults(strategy: str, name: str, seed: int = 1) -> Findings:
    made = workload(name, seed)
    return check(simulate(strategy, made), made)


def play(name: str, scene: Callable[[Rig], Awaitable[None]], **limits: Any) -> None:
    """Play the scene with a strategy over the scripted agent, in virtual time."""

    async def live() -> None:
        await scene(Rig(find(name), Limits(**limits)))

    run(live())
