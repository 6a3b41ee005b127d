"""Shares: who gets the next slot when several callers have turns that could run.

It is the caller that has the fewest slots. So each gets an equal share of them, and what
one leaves goes to the others (max-min fairness: Bertsekas and Gallager, Data Networks,
6.5.2, 1992). Of those that have equally many it is the one that has had so many for
longest; with a single slot that is round-robin. Another caller's flood costs a caller that
has no slot the wait for one.

A turn's urgency counts among its caller's turns alone. Otherwise whoever calls all of
theirs urgent would be served before everybody else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping


class Shares:
    """Callers that have a turn that could run, in the order in which they are served.

    slots  how many each caller has; `moved` tells that one's number has changed.

    Each call costs the same however many callers there are.
    """

    __slots__ = ("_level_of", "_levels", "_slots")

    def __init__(self, slots: Mapping[str, int]) -> None:
        self._slots = slots
        self._level_of: dict[str, int] = {}
        # For each number of slots, those that have so many.
        self._levels: dict[int, OrderedDict[str, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._levels)

    def first(self) -> str:
        return next(iter(self._levels[min(self._levels)]))

    def add(self, caller: str) -> None:
        """It has a turn that could run."""
        level = self._level_of[caller] = self._slots.get(caller, 0)
        self._levels.setdefault(level, OrderedDict())[caller] = None

    def remove(self, caller: str) -> None:
        """It has none any more."""
        level = self._level_of.pop(caller)
        del self._levels[level][caller]
        if not self._levels[level]:
            del self._levels[level]

    def moved(self, caller: str) -> None:
        """It took a slot or gave one back."""
        if caller in self._level_of:
            self.remove(caller)
            self.add(caller)

    def ahead_of(self, caller: str) -> int:
        """About how many other callers get a slot before it does."""
        mine = self._slots.get(caller, 0)
        ahead = sum(len(level) for slots, level in self._levels.items() if slots <= mine)
        return ahead - (caller in self._level_of)

    def besides(self, caller: str) -> int:
        """How many other callers have a turn that could run."""
        return len(self._level_of) - (caller in self._level_of)
