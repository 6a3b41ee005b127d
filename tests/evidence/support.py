"""Ten seeds of a workload in virtual time, under the real strategy classes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from statistics import fmean
from typing import Any

from loadtests.controls import find
from loadtests.histories import Findings, check
from loadtests.intervals import Effect, paired
from loadtests.measures import Figures, figures
from loadtests.simulate import simulate
from loadtests.workloads import make
from strategies import Attempt, Limits, Reply, Strategy, Ticket, Turn
from strategies.testing import run
from strategies.testing.stubborn import ignore_cancellation

SEEDS = range(1, 11)


@cache
def _figures(strategy: str, workload: str) -> tuple[Figures, ...]:
    made = [make(workload, seed) for seed in SEEDS]
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


class Stage:
    """A strategy over an agent whose every turn takes one second, unless its message says."""

    def __init__(self, name: str, **limits: Any) -> None:
        self.began: list[str] = []
        self.ended: list[str] = []
        self.strategy: Strategy = find(name)(self._answer, Limits(**limits))

    async def _answer(self, turn: Turn, attempt: Attempt) -> Reply:
        self.began.append(turn.id)
        if turn.message == "ignores being told to stop":
            await ignore_cancellation(1_000.0)
        await asyncio.sleep(1.0)
        attempt.seal()
        self.ended.append(turn.id)
        return Reply(f"reply to {turn.id}", len(self.ended))

    def send(
        self, id: str, conversation: str = "one", message: str = "", deadline_s: float | None = None
    ) -> Ticket:
        return self.strategy.submit(Turn(id, conversation, message, deadline_s))


def on_stage(name: str, play: Callable[[Stage], Awaitable[None]], **limits: Any) -> None:
    """Run the play over a strategy in virtual time."""

    async def live() -> None:
        await play(Stage(name, **limits))

    run(live())
