"""Time that does not jump when somebody sets the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

JUMP_S = 2.0
"""A wall clock that is so far off was set; by less it is drawn to the right time."""


class SteadyClock:
    """What the wall clock said first, and the seconds since.

    wall     the wall clock: gives seconds since 1970.
    ahead_s  by how much that was set forward since, as far as `jump_s` has seen.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._began_at: float | None = None
        self._behind_s = 0.0
        self.ahead_s = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        time_s = asyncio.get_running_loop().time()
        if self._began_at is None:
            self._began_at = self._wall() - time_s
        return self._began_at + time_s

    def earliest(self) -> float:
        """Seconds since 1970, by whichever time was the furthest behind of those that were seen.

        What the wall clock dated then is no older than it is by this.
        """
        now = self.now()
        self._behind_s = max(self._behind_s, now - self._wall())
        return now - self._behind_s

    def jump_s(self) -> float:
        """By how much the wall clock was set since this was asked the last time."""
        now = self.now()
        jump_s = self._wall() - now - self.ahead_s
        if abs(jump_s) < JUMP_S:
            return 0.0
        self.ahead_s += jump_s
        return jump_s
