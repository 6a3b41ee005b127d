"""How long do clients wait that say no deadline? Learned from those who left.

A client that is answered, or sent away, would have waited at least so long: its patience is
censored. So the survival curve is the product-limit estimate (Kaplan and Meier, J. Am. Stat.
Assoc. 53, 1958), and not the mean of what those waited who left.
"""

from __future__ import annotations

from collections import deque
from math import inf

from .service_time import ServiceTime

WINDOW = 100
"""Waits that count."""

ENOUGH = 3
"""Departures from which on the curve is believed."""

MEMORY_S = 600.0
"""Seconds after which a wait is forgotten: other people may come by then."""

STEP = 8
"""New waits after which the curve is drawn again. It costs more than a start."""


class Patience:
    """The patience of a caller's clients that left, and of those that did not."""

    __slots__ = ("_curve", "_left", "_news", "_waits")

    def __init__(self) -> None:
        self._waits: deque[tuple[float, float, bool]] = deque()
        self._left = 0
        self._news = STEP
        self._curve: tuple[tuple[float, float], ...] = ()

    def known(self, now: float) -> bool:
        """Whether enough have left lately."""
        while self._waits and self._waits[0][0] < now - MEMORY_S:
            self._forget()
        return self._left >= ENOUGH

    def observe(self, waited_s: float, now: float, *, left: bool) -> None:
        """A client has waited so long: it left then, or it would have waited on."""
        if len(self._waits) == WINDOW:
            self._forget()
        self._waits.append((now, waited_s, left))
        self._left += left
        # The first few departures say more than all that come later.
        self._news += STEP if left and self._left <= STEP else 1

    def finds_client(self, waited_s: float, service_time: ServiceTime) -> float:
        """The chance that the answer to a turn which starts after that wait finds its client."""
        # One more that waits for ever: of few departures, the last says little about the others.
        stays = ends = 1 / max(self._left, 1)
        tail = 1.0
        for patience_s, share in self._departures():
            tail -= share
            if patience_s > waited_s:
                ends += share * service_time.within(patience_s - waited_s)
                stays += share
        return (ends + tail) / (stays + tail)

    def median_s(self) -> float:
        """Half of the clients wait longer; inf where more than half of them never left."""
        gone = 0.0
        for patience_s, share in self._departures():
            gone += share
            if gone >= 0.5:
                return patience_s
        return inf

    def _forget(self) -> None:
        self._left -= self._waits.popleft()[2]
        self._news += 1

    def _departures(self) -> tuple[tuple[float, float], ...]:
        """Each patience that was seen and the share of clients that has it, the shortest first."""
        if self._news >= STEP:
            self._news = 0
            # Of equal waits the departures first: the others were still there.
            waits = sorted((waited_s, not left) for _, waited_s, left in self._waits)
            alive, curve = 1.0, list[tuple[float, float]]()
            for others, (waited_s, stayed) in zip(range(len(waits), 0, -1), waits, strict=True):
                if not stayed:
                    curve.append((waited_s, alive / others))
                    alive -= alive / others
            self._curve = tuple(curve)
        return self._curve
