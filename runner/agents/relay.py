"""What an agent's threads emit, on its way to the event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import groupby
from typing import cast

from runner.agents.base import Hear, Told


class Relay:
    """Hands on, in order, from threads to the loop in which it was made.

    A million pieces must not be a million callbacks: texts that come fast are joined.
    """

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._pieces: list[str | Told] = []
        self._is_on_its_way = False

    def __call__(self, piece: str | Told) -> None:
        self._pieces.append(piece)
        if not self._is_on_its_way:
            self._is_on_its_way = True
            with suppress(RuntimeError):  # The loop is closed, and nobody listens any more.
                self._loop.call_soon_threadsafe(self.deliver)

    def deliver(self) -> None:
        """What is on its way, now. Called in the loop."""
        # Before the pieces are counted: one that comes after that has a delivery of its own.
        self._is_on_its_way = False
        count = len(self._pieces)
        pieces = self._pieces[:count]
        del self._pieces[:count]
        for is_told, several in groupby(pieces, lambda piece: isinstance(piece, Told)):
            if is_told:
                for told in several:
                    self._hear(told)
            else:
                self._hear("".join(cast("list[str]", list(several))))
