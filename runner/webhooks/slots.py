"""How many webhooks are on their way at once: sockets, and turns in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

TO_A_HOST, OF_A_CALLER = 4, 16
"""A receiver that never answers holds up no other one, and a caller's receivers no other's."""


class Slots:
    """Whoever wants to send takes one, in the order of coming."""

    def __init__(self) -> None:
        self._taken: WeakValueDictionary[tuple[str, ...], asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def one(self, caller: str, host: str) -> AsyncGenerator[None]:
        to_host, of_caller = self._at((caller, host), TO_A_HOST), self._at((caller,), OF_A_CALLER)
        async with to_host, of_caller:
            yield

    def _at(self, who: tuple[str, ...], most: int) -> asyncio.Semaphore:
        """It is there while somebody has it, or waits for it."""
        found = self._taken.get(who)
        if found is None:
            found = self._taken[who] = asyncio.Semaphore(most)
        return found
