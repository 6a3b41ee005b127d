"""Threads for agents that are not async.

Not `ThreadPoolExecutor`: its threads keep the process from exiting while one of
them hangs, and on Python 3.11 a StopIteration raised in one never reaches its
waiter. Here a result comes back as a value, whatever it is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Threads:
    """Runs functions in daemon threads, at most `most` at a time; further calls wait."""

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(self, function: Callable[[], T]) -> T:
        """What the function gives or raises.

        A thread cannot be stopped. When the caller is cancelled, this waits
        until the thread has ended and raises CancelledError only then.
        """
        async with self._free:
            loop = asyncio.get_running_loop()
            ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
            context = copy_context()

            def work() -> None:
                outcome: tuple[Any, BaseException | None]
                try:
                    outcome = context.run(function), None
                except BaseException as error:
                    outcome = None, error
                with suppress(RuntimeError):  # The loop is closed, and nobody waits any more.
                    loop.call_soon_threadsafe(ended.set_result, outcome)

            threading.Thread(target=work, name="agent", daemon=True).start()
            await _wait_through_cancellation(ended)
        value, error = ended.result()
        if error is not None:
            raise error
        return cast("T", value)


class Relay:
    """Hands text from a thread to the loop in which it was made, in order.

    Pieces that come faster than the loop takes them are joined: a thread that
    yields a million of them must not fill the loop with a million callbacks.
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


async def _wait_through_cancellation(ended: asyncio.Future[Any]) -> None:
    """Wait for the end, however often the task is cancelled; then heed the last one."""
    cancelled: asyncio.CancelledError | None = None
    while not ended.done():
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
