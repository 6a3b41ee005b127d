"""Queue against the others in every cell: first looked at, then judged where it looks worse.

Of five hundred cells, chance alone makes a dozen look lost. So a cell is screened on a few
seeds, and where queue looks worse than another, these two meet again on seeds that nobody
has looked at; only what these say counts. The screen is the less strict of the two, for a
loss that it misses is not judged.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import sqrt
from multiprocessing import get_context
from statistics import fmean, stdev

from loadtests.measures.figures import Figures, main_figures
from loadtests.measures.intervals import ENOUGH, Effect, interval
from loadtests.simulation.cells import Cell
from loadtests.simulation.simulate import simulate
from runner import start

QUEUE = "queue"
EVERYWHERE = (QUEUE, "lock", "reject")
OPPONENTS = (
    *("lock-1", "lock-3", "lock-5", "lock-half", "lock-check"),
    *("reject-jitter", "fifo-20"),
)
"""What a good engineer would write instead; tried where `Cell.has_opponents`."""

SCREEN_SEEDS = 4
JUDGE_SEEDS = range(1001, 1021)
MARGIN = 0.01
"""Of all users: a smaller difference is none."""

REGRET = 0.05
"""A cell that looks so much worse is judged too, however uncertain that is."""

MEASURED = ("served", "in_time")
Told = Callable[[str], None]
Strategies = Mapping[str, Sequence[Figures]]
"""Of each strategy the figures of each seed."""

Asked = tuple[Cell, Sequence[str], Sequence[int]]
Found = tuple[Cell, Strategies]


@dataclass(frozen=True, slots=True)
class Row:
    """A strategy in a cell: its means over the seeds, and what queue has more than it.

    effects  of "served" and "in_time", queue less this one, paired by seed; empty for queue.
             Their intervals are of 95 % where judged, and two standard errors either way
             where only screened.
    judged   on seeds of its own; otherwise it was only screened.
    """

    cell: Cell
    strategy: str
    seeds: int
    means: Figures
    effects: Mapping[str, Effect]
    judged: bool = False

    def verdict(self, measure: str) -> str:
        """Of queue: "win", "tie" or "loss". Lost is only what was judged."""
        effect = self.effects[measure]
        if self.judged and effect.is_clearly_below(MARGIN):
            return "loss"
        return "win" if effect.is_clear and effect.mean > MARGIN else "tie"

    @property
    def losses(self) -> list[str]:
        return [measure for measure in self.effects if self.verdict(measure) == "loss"]


def matrix(
    cells: Sequence[Cell],
    strategies: Sequence[str] = (*EVERYWHERE, *OPPONENTS),
    *,
    seeds: int = SCREEN_SEEDS,
    jobs: int = 1,
    tell: Told = lambda words: None,
) -> list[Row]:
    """The rows of these cells, in order; the same whatever the number of processes.

    tell  is told how far it is.
    """
    screened: list[Found] = []
    with _mapping(jobs) as run:
        tried = [(cell, _tried_in(cell, strategies), cell.seeds(seeds)) for cell in cells]
        for done, pair in enumerate(run(tried), 1):
            tell(f"{done} of {len(tried)} cells")
            screened.append(pair)
        doubtful = [(cell, worse, JUDGE_SEEDS) for cell, f in screened if (worse := _worse(f))]
        judged: dict[Cell, Strategies] = {}
        for done, (cell, found) in enumerate(run(doubtful), 1):
            tell(f"{done} of {len(doubtful)} cells, judged again")
            judged[cell] = found
    return [row for cell, f in screened for row in _rows(cell, f, judged.get(cell, {}))]


def _tried_in(cell: Cell, strategies: Sequence[str]) -> list[str]:
    everywhere = cell.has_opponents
    others = (s for s in strategies if s != QUEUE and (everywhere or s not in OPPONENTS))
    return [QUEUE, *others]


def _run_cell(asked: Asked) -> Found:
    """In a process of its own, or here."""
    cell, strategies, seeds = asked
    found: dict[str, list[Figures]] = {name: [] for name in strategies}
    for seed in seeds:
        workload = cell.workload(seed)
        for name in strategies:
            run = simulate(name, workload, chain=False)
            found[name].append(main_figures(run, workload))
    return cell, found


def _worse(found: Strategies) -> list[str]:
    """Queue, and those against which it looks worse; none where there is none."""
    others = [name for name in found if name != QUEUE and _looks_worse(_effects(found, name))]
    return [QUEUE, *others] if others else []


def _looks_worse(effects: Mapping[str, Effect]) -> bool:
    clearly = any(effect.is_clearly_below(MARGIN) for effect in effects.values())
    return clearly or effects["in_time"].mean < -REGRET


def _effects(found: Strategies, other: str) -> dict[str, Effect]:
    return {
        m: _effect([f[m] for f in found[QUEUE]], [f[m] for f in found[other]]) for m in MEASURED
    }


def _effect(one: Sequence[float], other: Sequence[float]) -> Effect:
    """As `intervals.paired`; of few pairs two standard errors, which are to be judged again."""
    differences = tuple(a - b for a, b in zip(one, other, strict=True))
    mean = fmean(differences)
    if len(differences) >= ENOUGH:
        return Effect(mean, *interval(differences), differences)
    error = stdev(differences) / sqrt(len(differences)) if len(differences) > 1 else 1.0
    return Effect(mean, mean - 2 * error, mean + 2 * error, differences)


def _rows(cell: Cell, screened: Strategies, judged: Strategies) -> Iterator[Row]:
    for name in screened:
        found = judged if name in judged and name != QUEUE else screened
        means = {measure: fmean(f[measure] for f in found[name]) for measure in found[name][0]}
        effects = {} if name == QUEUE else _effects(found, name)
        yield Row(cell, name, len(found[name]), means, effects, judged=found is judged)


# In processes.


@contextmanager
def _mapping(jobs: int) -> Generator[Callable[[Sequence[Asked]], Iterable[Found]]]:
    """`_run_cell` for each, in so many processes; the results come in order."""
    if jobs == 1:
        yield partial(map, _run_cell)
        return
    start.look_in(str(start.HOME))  # The processes find our modules where this one does.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_settle)
    try:
        yield partial(pool.map, _run_cell)
    finally:
        pool.shutdown(cancel_futures=True)


def _settle() -> None:
    """A run leaves little that goes round in circles: look for it less often."""
    start.settle()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
