"""An event loop that does nothing but count time: several times as fast as asyncio's own.

`VirtualLoop` is asyncio's loop with another clock, so that a test meets what a server
would. A simulation runs millions of timers, and needs of a loop only that it calls what is
due, in order. Where two timers are due at the same instant, the one that was set first
comes first; asyncio leaves that open. Three more differences: a callback runs in its own
context only if one was given, one that is due soon cannot be cancelled, and what a
callback raises ends the run instead of a log line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from math import ceil
from typing import Any

from strategies.testing.clock import GRID_PER_S, Deadlock, VirtualLoop


class _Timer(list[Any]):
    """[callback, arguments, context]: a list is made faster than any object of ours."""

    __slots__ = ()

    def cancel(self) -> None:
        self[0] = None

    def cancelled(self) -> bool:
        return self[0] is None


class LightLoop(VirtualLoop):
    """A virtual loop with callbacks and timers of its own; asyncio's tasks run on it."""

    def __init__(self) -> None:
        super().__init__()
        self._soon: deque[Sequence[Any]] = deque()
        self._timers: list[tuple[float, int, _Timer]] = []
        self._serial = 0

    def call_soon(  # type: ignore[override]  # Nobody cancels what is due at once.
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> None:
        self._soon.append((callback, args, context))

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> _Timer:
        timer = _Timer((callback, args, context))
        self._serial = serial = self._serial + 1
        heappush(self._timers, (ceil(when * GRID_PER_S) / GRID_PER_S, serial, timer))
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> _Timer:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        """What `BaseEventLoop.run_forever` repeats: all that is due, and not what this adds."""
        soon, timers = self._soon, self._timers
        if not soon:
            while timers and timers[0][2][0] is None:
                heappop(timers)
            if not timers:
                raise Deadlock("nothing is ready and no timer is set")
            self._now = timers[0][0]
        while timers and timers[0][0] <= self._now:
            soon.append(heappop(timers)[2])
        for _ in range(len(soon)):
            callback, args, context = soon.popleft()
            if callback is None:
                continue
            if context is None:
                callback(*args)
            else:
                context.run(callback, *args)
