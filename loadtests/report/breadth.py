"""The simulated matrix: many cells, several strategies; how the subject fares in each.

`matrix.csv` is what `runner simulate --matrix` writes: a row for each cell and strategy,
with the strategy's own figures, and the subject's less them as a mean with its 95 %
interval (empty for the subject itself). A cell is a kind of clients, a load, a shape of
traffic, a service time and a timeout; a workload with a name has no more than that.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loadtests.report.words import CLEAR

MATRIX = "matrix.csv"
SUBJECT = "queue"
SHOWN = ("served", "in_time", "goodput", "attempts")
JUDGED = {"in_time": "users served in time", "served": "users served"}
"""Measures by which a cell is won or lost, and the matrix has differences for."""

SHAPES = {"one": "one conversation", "fifty": "fifty conversations"}
FOREMOST = ("lock", "reject", "lock-5")
"""Those that are told first, where the matrix has them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What was simulated. The text of the table, but for `load`: None where the shape has one."""

    told: str
    retry: str
    load: float | None
    shape: str
    service: str
    timeout: str

    def __str__(self) -> str:
        """`told, backoff, load 2, fifty conversations, lognormal, timeout 10`, or its name."""
        if self.shape not in SHAPES:
            return self.shape
        load = "" if self.load is None else f"load {self.load:g}"
        timeout = self.timeout and f"timeout {self.timeout}"
        words = (self.told, self.retry, load, SHAPES[self.shape], self.service, timeout)
        return ", ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class Difference:
    """The subject less the other in a cell, and its 95 % interval."""

    cell: Cell
    other: str
    mean: float
    low: float
    high: float

    @property
    def way(self) -> int:
        """1 where the subject is clearly better, -1 where clearly worse, 0 for a tie."""
        clear = self.low * self.high > 0 and abs(self.mean) > CLEAR
        return (1 if self.mean > 0 else -1) if clear else 0

    @property
    def interval(self) -> str:
        """By how much the other is better."""
        return f"[{-self.high:.2f}, {-self.low:.2f}]"

    @property
    def words(self) -> str:
        return f"{self.cell} (by {-self.mean:.2f} {self.interval})"


@dataclass(frozen=True, slots=True)
class Regret:
    """How far a strategy is behind the best in a cell."""

    cell: Cell
    best: str
    size: float

    @property
    def words(self) -> str:
        return f"{self.cell} (by {self.size:.2f}, behind {self.best})"


@dataclass(frozen=True, slots=True)
class Tally:
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Breadth:
    """means: (cell, strategy) -> measure -> mean; differences: (other, measure) -> a cell each."""

    means: Mapping[tuple[Cell, str], Mapping[str, float]]
    differences: Mapping[tuple[str, str], Sequence[Difference]]
    seeds: tuple[int, int]

    @property
    def subject(self) -> str:
        return SUBJECT

    @cached_property
    def cells(self) -> list[Cell]:
        return list(dict.fromkeys(cell for cell, _ in self.means))

    @cached_property
    def strategies(self) -> list[str]:
        return list(dict.fromkeys(strategy for _, strategy in self.means))

    @property
    def others(self) -> list[str]:
        return [name for name in self.strategies if name != SUBJECT]

    @property
    def foremost(self) -> list[str]:
        return [name for name in FOREMOST if name in self.others] or self.others[:3]

    def ordered(self, other: str, measure: str) -> list[Difference]:
        """The differences, from the subject's worst to its best."""
        return sorted(self.differences.get((other, measure), ()), key=lambda each: each.mean)

    def tally(self, other: str, measure: str) -> Tally:
        ways = [each.way for each in self.differences.get((other, measure), ())]
        return Tally(ways.count(1), ways.count(0), ways.count(-1))

    def dominated(self, other: str) -> int:
        """Cells in which the other is clearly better in both users served and in time."""
        lost = [
            {each.cell for each in self.differences.get((other, measure), ()) if each.way < 0}
            for measure in JUDGED
        ]
        return len(lost[0] & lost[1])

    def losses(self, measure: str) -> list[Difference]:
        """Where one of the foremost is clearly better, the worst first."""
        found = [d for other in self.foremost for d in self.ordered(other, measure) if d.way < 0]
        return sorted(found, key=lambda each: each.mean)

    def regrets(self, strategy: str, measure: str) -> Iterator[Regret]:
        """Of each cell that the strategy has; the subject's are paired, by the same seeds."""
        for cell in self.cells:
            if (cell, strategy) not in self.means:
                continue
            behind = {
                name: self.means[cell, name][measure] - self.means[cell, strategy][measure]
                for name in self.strategies
                if (cell, name) in self.means
            }
            if strategy == SUBJECT:
                behind = {SUBJECT: 0.0} | self._paired.get((cell, measure), {})
            best = max(behind, key=lambda name: behind[name])
            yield Regret(cell, best, behind[best])

    @cached_property
    def _paired(self) -> Mapping[tuple[Cell, str], dict[str, float]]:
        """(cell, measure) -> other -> how much more it has than the subject."""
        found: dict[tuple[Cell, str], dict[str, float]] = {}
        for (other, measure), each in self.differences.items():
            for difference in each:
                found.setdefault((difference.cell, measure), {})[other] = -difference.mean
        return found

    def worst_regret(self, strategy: str, measure: str) -> Regret:
        return max(self.regrets(strategy, measure), key=lambda each: each.size)


def load(path: Path) -> Breadth | None:
    """The matrix; None where there is no file. Raises ValueError where it is something else."""
    if not path.exists():
        return None
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return _from_rows(rows)
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{path} is not a matrix of simulated cells") from error


def _from_rows(rows: Sequence[Mapping[str, str]]) -> Breadth:
    means: dict[tuple[Cell, str], dict[str, float]] = {}
    differences: dict[tuple[str, str], list[Difference]] = {}
    for row in rows:
        cell, strategy = _cell(row), row["strategy"]
        means[cell, strategy] = {measure: float(row[measure] or "nan") for measure in SHOWN}
        for measure in JUDGED:
            texts = [row[f"d_{measure}{end}"] for end in ("", "_low", "_high")]
            if strategy != SUBJECT and all(texts):
                found = Difference(cell, strategy, *map(float, texts))
                differences.setdefault((strategy, measure), []).append(found)
    seeds = [int(row["seeds"]) for row in rows]
    if SUBJECT not in {strategy for _, strategy in means}:
        raise ValueError(f"no rows of {SUBJECT}")
    return Breadth(means, differences, (min(seeds), max(seeds)))


def _cell(row: Mapping[str, str]) -> Cell:
    load = float(row["load"]) if row["load"] else None
    told, retry, shape, service, timeout = (
        row[name] for name in ("told", "retry", "shape", "service", "timeout")
    )
    return Cell(told, retry, load, shape, service, f"{float(timeout):g}" if timeout else "")
