"""Waiting for a turn: until something about it is so, for a time, or until its client has left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runner.turns.live_turn import LiveTurn


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


async def until(
    live: LiveTurn,
    is_so: Callable[[LiveTurn], bool],
    *,
    limit_s: float | None = None,
    departure: asyncio.Future[None] | None = None,
) -> None:
    """Wait until the turn is so, for `limit_s` seconds at most, or until its client has left.

    Any number may wait, and each may stop without consequence for the turn.
    """
    wakeup = Wakeup()
    loop = asyncio.get_running_loop()
    ends_at = None if limit_s is None else loop.time() + limit_s
    timer = None if ends_at is None else loop.call_at(ends_at, wakeup.wake)
    live.listen(wakeup.wake)
    if departure is not None:
        departure.add_done_callback(wakeup.wake)
    try:
        while not is_so(live) and (ends_at is None or loop.time() < ends_at):
            if departure is not None and departure.done():
                return
            await wakeup.wait()
    finally:
        live.unlisten(wakeup.wake)
        if timer is not None:
            timer.cancel()
