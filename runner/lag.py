"""How late the event loop runs: the gauge that shows an async agent that blocks it."""

from __future__ import annotations

import asyncio
from collections import deque

INTERVAL_S = 0.25
KEPT = 40
"""Measurements kept: the last ten seconds."""


class LoopLag:
    """Sleeps for an interval, over and over, and notes by how much each sleep was too long."""

    def __init__(self) -> None:
        self._lags_s: deque[float] = deque(maxlen=KEPT)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._measure())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    @property
    def worst_s(self) -> float:
        """The longest delay of the last ten seconds, in seconds."""
        return max(self._lags_s, default=0.0)

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            self._lags_s.append(max(loop.time() - due, 0.0))
