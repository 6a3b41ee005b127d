"""Who is first when some are more urgent than others, and nobody may starve?

Whoever waits gains one level of urgency in every `ageing_s` seconds (Kleinrock's
"A delay dependent queue discipline", Naval Research Logistics Quarterly 11, 1964,
with equal slopes). Two never change places while they wait, so the order is that
of a fixed rank, `since + urgency * ageing_s`: no timer, nothing to renew. One is
overtaken only by those that come less than `(its urgency - theirs) * ageing_s` later.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from heapq import merge
from math import floor
from typing import Generic, TypeVar

T = TypeVar("T")

Standing = tuple[int, float]
"""What a rank is made of: an urgency, and the instant from which on something waits."""


class Ageing(Generic[T]):
    """Things in the order of their ranks, the best first; of equal ranks, the one that came first.

    Each urgency, of at most eight, has a line that is in order by itself. Adding, removing
    and looking at the first cost the same however many wait. A thing may stand at several
    levels at once, and counts at its best.
    """

    __slots__ = ("_ageing_s", "_levels")

    def __init__(self, ageing_s: float) -> None:
        self._ageing_s = ageing_s
        # OrderedDict: taking the first of a dict walks over the places of those that left.
        self._levels: dict[int, OrderedDict[T, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._levels)

    def __len__(self) -> int:
        return sum(len(level) for level in self._levels.values())

    def __iter__(self) -> Iterator[T]:
        """In the order of their ranks."""
        lines = (self._ranked(urgency) for urgency in self._levels)
        return (item for _, _, item in merge(*lines, key=lambda ranked: ranked[:2]))

    def _ranked(self, urgency: int) -> Iterator[tuple[float, float, T]]:
        for item, since in self._levels[urgency].items():
            yield self.rank((urgency, since)), since, item

    @property
    def urgencies(self) -> tuple[int, ...]:
        return tuple(self._levels)

    def first(self) -> T:
        if len(self._levels) == 1:  # As good as always, and then this is most of the cost.
            return next(iter(next(iter(self._levels.values()))))
        return next(iter(self))

    def rank(self, standing: Standing) -> float:
        urgency, since = standing
        return since + urgency * self._ageing_s

    def standing(self, item: T) -> Standing | None:
        """The best that it has."""
        standings = [(u, level[item]) for u, level in self._levels.items() if item in level]
        return min(standings, key=self.rank, default=None)

    def add(self, item: T, urgency: int, since: float) -> None:
        """Add it at the end of its level: `since` is no earlier than theirs; or let it stand."""
        self._levels.setdefault(urgency, OrderedDict()).setdefault(item, since)

    def remove(self, item: T, urgency: int) -> None:
        """Take it from that level, if it is there."""
        level = self._levels.get(urgency)
        if level is not None:
            level.pop(item, None)
            if not level:
                del self._levels[urgency]

    def before(self, urgency: int, since: float) -> int:
        """About how many stand before one of this standing, at the same cost however many wait.

        A level of which only a part does counts as if its things had come at even intervals.
        """
        return sum(
            _until(since + (urgency - other) * self._ageing_s, level)
            for other, level in self._levels.items()
        )


def _until(instant: float, level: OrderedDict[T, float]) -> int:
    """About how many of the level came until the instant."""
    oldest, newest = next(iter(level.values())), next(reversed(level.values()))
    if newest <= instant:
        return len(level)
    if instant < oldest:
        return 0
    return 1 + floor((len(level) - 1) * (instant - oldest) / (newest - oldest))
