"""Tells whoever waits that something has changed; what, they see for themselves."""

from __future__ import annotations

import asyncio


class Pulse:
    """Ask for `next` in the tick in which you looked, or you may miss a beat."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    def next(self) -> asyncio.Future[None]:
        """Done with the next beat. It is everyone's: wait for it with `asyncio.wait`."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return self._next

    def beat(self) -> None:
        if self._next is not None:
            self._next.set_result(None)
            self._next = None
