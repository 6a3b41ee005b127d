"""How late the event loop runs: the gauge that shows an async agent that blocks it."""

from __future__ import annotations

import asyncio
from collections import deque

INTERVAL_S = 0.25
KEPT = 120
"""Measurements kept: the last thirty seconds, so that who asks each 15 or 30 s misses none."""


class LoopLag:
    """Asks the loop for a call after each interval, and notes by how much it came too late."""

    def __init__(self) -> None:
        self._lags_s: deque[float] = deque(maxlen=KEPT)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(INTERVAL_S, self._note, loop.time() + INTERVAL_S)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    @property
    def worst_s(self) -> float:
        """The longest delay of the last thirty seconds, in seconds."""
        return max(self._lags_s, default=0.0)

    def _note(self, due: float) -> None:
        try:
            self._lags_s.append(max(asyncio.get_running_loop().time() - due, 0.0))
        finally:
            self.start()
