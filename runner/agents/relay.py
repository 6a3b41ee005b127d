"""Text on its way from an agent's thread to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Relay:
    """Hands text from a thread to the loop in which it was made, in order.

    A million pieces must not be a million callbacks: those that come fast are joined.
    """

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._pieces: list[str] = []
        self._is_on_its_way = False

    def __call__(self, piece: str) -> None:
        self._pieces.append(piece)
        if not self._is_on_its_way:
            self._is_on_its_way = True
            with suppress(RuntimeError):  # The loop is closed, and nobody listens any more.
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # Before the pieces are counted: one that comes after that has a delivery of its own.
        self._is_on_its_way = False
        count = len(self._pieces)
        text = "".join(self._pieces[:count])
        del self._pieces[:count]
        if text:
            self._emit(text)
