"""Who asked the server to end, and what happens if it does not.

Signals are taken by `signal.signal` and not by the event loop, and a timer thread
enforces the deadline, because an agent may block the loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from types import FrameType

FORCE_AFTER_S = 0.9
"""Past the drain's deadline: an agent that blocks the loop or ignores its end is left behind."""


class Stop:
    """`wanted` is set by the first that asks, `hurry` by the second."""

    def __init__(self, loop: asyncio.AbstractEventLoop, drain_s: float) -> None:
        self.wanted = asyncio.Event()
        self.hurry = asyncio.Event()
        self.reason = ""
        self._loop = loop
        self._drain_s = drain_s
        self._timers: list[threading.Timer] = []

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def ask(self, reason: str) -> None:
        """End the server; asked a second time, without waiting for what runs."""
        if not self.reason:
            self.reason = reason
            self._loop.call_soon_threadsafe(self.wanted.set)
            self._force_after(self._drain_s + FORCE_AFTER_S)
        else:
            self._loop.call_soon_threadsafe(self.hurry.set)
            self._force_after(FORCE_AFTER_S)

    def ended(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.ask(signal.Signals(number).name)

    def _force_after(self, delay_s: float) -> None:
        timer = threading.Timer(delay_s, _force_exit)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)


def _force_exit() -> None:
    os.write(2, b"the agent did not stop in time and is left behind\n")
    os._exit(0)
