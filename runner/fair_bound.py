"""Fair bounds: where there is no room for all, the caller who keeps most loses what is oldest.

So each of n callers is sure of an n-th of a bound, whatever the others do, and may have more
while they use less. Callers without a name are one caller.

What a turn costs here does not depend on how much is kept. Only where there is no room, all
callers are looked at: they are those in the settings, and each request's token is compared
with all of them too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from math import inf
from operator import attrgetter
from typing import Generic, TypeVar

K = TypeVar("K")

_BY_NUMBER, _BY_BYTES = attrgetter("number"), attrgetter("bytes")


class _Share(Generic[K]):
    """What one caller keeps: the things in their order, and what they count."""

    __slots__ = ("bytes", "number", "things")

    def __init__(self) -> None:
        self.things: OrderedDict[K, None] = OrderedDict()
        self.number = self.bytes = 0


class FairBound(Generic[K]):
    """Tells which of the things that are kept goes next. The things themselves are elsewhere.

    most, most_bytes  what all of them may count together.
    """

    def __init__(self, most: int, most_bytes: float = inf) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._number = self._bytes = 0
        self._shares: dict[str, _Share[K]] = {}

    def count(self, caller: str, number: int, size: int = 0) -> None:
        """What the caller keeps counts so much more; or less, where below 0."""
        share = self._shares.get(caller)
        if share is None:
            share = self._shares[caller] = _Share()
        share.number += number
        share.bytes += size
        self._number += number
        self._bytes += size
        if not share.number:
            del self._shares[caller]

    def add(self, caller: str, thing: K, size: int = 0) -> None:
        """It is kept from now on, as the newest of the caller's, and counts."""
        self.count(caller, 1, size)
        self._shares[caller].things[thing] = None

    def remove(self, caller: str, thing: K, size: int = 0) -> None:
        """It is not kept any more, and does not count."""
        del self._shares[caller].things[thing]
        self.count(caller, -1, -size)

    def keep(self, caller: str, thing: K) -> None:
        """It is the newest from now on of what the caller keeps, and was counted before."""
        things = self._shares[caller].things
        things[thing] = None
        things.move_to_end(thing)

    def drop(self, caller: str, thing: K) -> None:
        """It is not kept any more, and is counted still."""
        del self._shares[caller].things[thing]

    def latest(self, caller: str) -> Iterator[K]:
        """What the caller keeps, the newest first."""
        share = self._shares.get(caller)
        return iter(()) if share is None else reversed(share.things)

    def surplus(self) -> K | None:
        """The next one to go; None where all fit, or nothing is left of what counts."""
        if self._number > self._most:
            kind = _BY_NUMBER
        elif self._bytes > self._most_bytes:
            kind = _BY_BYTES
        else:
            return None
        # What counts and is not kept yet is none of those that go.
        owners = [share for share in self._shares.values() if share.things]
        return next(iter(max(owners, key=kind).things)) if owners else None
