"""Waiting for news, of which only the last matters."""

from __future__ import annotations

import asyncio


class Wakeup:
    """Waits for news; whoever has some calls `wake`. News that come before `wait` are not lost."""

    __slots__ = ("_future", "_is_woken")

    def __init__(self) -> None:
        self._is_woken = False
        self._future: asyncio.Future[None] | None = None

    def wake(self, _: object = None) -> None:
        self._is_woken = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def wait(self) -> None:
        """Return with the next news since the last call."""
        if not self._is_woken:
            self._future = asyncio.get_running_loop().create_future()
            await self._future
        self._is_woken = False
