"""An event loop whose time is virtual: waiting costs nothing, and nothing depends on the machine.

When no callback is ready the clock jumps to the next timer. When there is no
timer either, waiting for anything raises `Deadlock`.

With a seed, timers that are due at the same instant run in random order. All
else keeps the order that asyncio documents, so every schedule is one that
asyncio could really have produced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from math import ceil
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

GRID_PER_S = 1e8
"""Time moves on a grid, rounded up: a timer is never early, and equal times stay equal."""

TIE_S = 1e-10
"""Ties are broken by moving a timer by up to this much, far below the grid."""


class Deadlock(Exception):
    """Nothing is ready and no timer is set: what is awaited will never come."""


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop for programs that touch neither sockets nor threads.

    seed        shuffles ties between timers; None keeps them in order.
    on_advance  called whenever the clock is about to move, when all that could run has run.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self.on_advance: Callable[[], None] = lambda: None
        self.reports: list[str] = []
        self._now = 0.0
        self._random = None if seed is None else Random(seed)
        # What BaseEventLoop asks of its subclasses; see asyncio/base_events.py, `_run_once`.
        self._selector = self
        self._clock_resolution = 1e-9
        self.set_exception_handler(lambda loop, context: self.reports.append(str(context)))

    def time(self) -> float:
        return self._now

    def call_at(  # type: ignore[override]  # Typeshed ties `args` to `callback`.
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        when = ceil(when * GRID_PER_S) / GRID_PER_S
        if self._random is not None:
            when += self._random.random() * TIE_S
        return super().call_at(when, callback, *args, context=context)

    def select(self, timeout: float | None) -> list[object]:
        """Take the selector's place: where it would wait, move the clock instead."""
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set")
        if timeout > 0:
            self.on_advance()
            self._now = round((self._now + timeout) * GRID_PER_S) / GRID_PER_S
        return []

    def pending_timers(self) -> int:
        """Timers that are set and not cancelled."""
        scheduled: list[asyncio.TimerHandle] = vars(self)["_scheduled"]
        return sum(not handle.cancelled() for handle in scheduled)

    def _process_events(self, event_list: list[object]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def run(main: Coroutine[Any, Any, T], seed: int | None = None) -> T:
    """Run the coroutine to its end in virtual time, as `asyncio.run` does in real time."""
    loop = VirtualLoop(seed)
    try:
        return loop.run_until_complete(main)
    finally:
        close(loop)


def close(loop: VirtualLoop) -> None:
    """Close the loop; what still runs is told to stop, and given some (virtual) time for it."""
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        with suppress(BaseException):  # What they raise is nobody's concern any more.
            loop.run_until_complete(asyncio.wait(tasks, timeout=60.0))
    loop.close()
