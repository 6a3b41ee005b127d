"""Fair bounds: where there is no room for all, the caller who keeps most loses what is oldest.

So each of n callers is sure of an n-th of a bound, whatever the others do, and may have more
while they use less. Callers without a name are one caller.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K")


class Shares(Generic[K]):
    """Tells which of the things that are kept goes next. The things are elsewhere.

    bounds  what all may count together; a thing counts in each, such as 1 and its bytes.

    All costs O(log n) for n callers, however many things are kept.
    """

    def __init__(self, *bounds: int) -> None:
        self._tallies = [Tally(bound) for bound in bounds]
        self._lines: dict[str, OrderedDict[K, None]] = {}

    def keep(self, caller: str, thing: K) -> None:
        """It is the caller's newest from now on."""
        if caller not in self._lines:
            self._lines[caller] = OrderedDict()
            for tally in self._tallies:  # They may have passed it over.
                tally.change(caller, 0)
        line = self._lines[caller]
        line[thing] = None
        line.move_to_end(thing)

    def drop(self, caller: str, thing: K) -> None:
        line = self._lines[caller]
        del line[thing]
        if not line:
            del self._lines[caller]

    def count(self, caller: str, *amounts: int) -> None:
        """What the caller keeps counts so much more; or less, where below 0."""
        for tally, amount in zip(self._tallies, amounts, strict=True):
            tally.change(caller, amount)

    def surplus(self) -> K | None:
        """The next one to go, or None: where all fit, or nothing is kept any more."""
        for tally in self._tallies:
            while tally.is_over and (caller := tally.heaviest()) is not None:
                if caller in self._lines:
                    return next(iter(self._lines[caller]))
                tally.pass_over()  # All that it counts for is not kept yet.
        return None


class Tally:
    """How much each caller keeps of one kind, and who keeps most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._total = 0
        self._amounts: dict[str, int] = {}
        self._changed: set[str] = set()
        self._ranking: list[tuple[int, str]] = []  # A heap; of a caller's entries one may be true.

    @property
    def is_over(self) -> bool:
        return self._total > self._most

    def change(self, caller: str, by: int) -> None:
        self._total += by
        self._amounts[caller] = self._amounts.get(caller, 0) + by
        self._changed.add(caller)

    def heaviest(self) -> str | None:
        if len(self._ranking) > 2 * len(self._amounts) + 8:  # Mostly entries that are not true.
            self._ranking = []
            self._changed = set(self._amounts)
        for caller in self._changed:
            if not self._amounts[caller]:
                del self._amounts[caller]
            else:
                heappush(self._ranking, (-self._amounts[caller], caller))
        self._changed.clear()
        while self._ranking:
            amount, caller = self._ranking[0]
            if self._amounts.get(caller) == -amount:
                return caller
            heappop(self._ranking)
        return None

    def pass_over(self) -> None:
        """Leave out who is heaviest, until that has changed."""
        heappop(self._ranking)
