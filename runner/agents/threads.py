"""Threads for what is not async: agents, and a store's files.

Not `ThreadPoolExecutor`: its threads keep the process from exiting while one of
them hangs, and on Python 3.11 a StopIteration raised in one never reaches its
waiter. Here a result comes back as a value, whatever it is.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, TypeVar, cast

T = TypeVar("T")

Work = Callable[[], None]
Outcome = tuple[Any, BaseException | None]
"""What a function gave, and what it raised: one of them is None."""


class Threads:
    """Runs functions in daemon threads. One that is done takes the next; all end with this object.

    most  as many `run` at a time; further calls wait.
    """

    def __init__(self, most: int, name: str = "agent") -> None:
        self._free = asyncio.Semaphore(most)
        self._name = name
        self._idle = 0
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        weakref.finalize(self, self._work.put, None)

    async def run(self, function: Callable[[], T]) -> T:
        """What the function gives or raises.

        A thread cannot be stopped. When the caller is cancelled, this waits
        until the thread is done and raises CancelledError only then.
        """
        async with self._free:
            outcome = self.start(function)
            cancelled = await until_done(outcome)
        if cancelled is not None:
            raise cancelled
        value, error = outcome.result()
        if error is not None:
            raise error
        return cast("T", value)

    def start(self, function: Callable[[], object]) -> asyncio.Future[Outcome]:
        """Run it now, in a thread that is idle or in a new one."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome] = loop.create_future()
        context = copy_context()

        def work() -> None:
            outcome: Outcome
            try:
                outcome = context.run(function), None
            except BaseException as error:
                outcome = None, error
            with suppress(RuntimeError):  # The loop is closed, and nobody waits any more.
                loop.call_soon_threadsafe(self._end, ended, outcome)

        self._work.put(work)
        if self._idle:
            self._idle -= 1
        else:
            thread = threading.Thread(target=_serve, args=(self._work,), name=self._name)
            thread.daemon = True
            thread.start()
        return ended

    def _end(self, ended: asyncio.Future[Outcome], outcome: Outcome) -> None:
        self._idle += 1
        ended.set_result(outcome)


def _serve(queue: SimpleQueue[Work | None]) -> None:
    while (work := queue.get()) is not None:
        work()
        del work  # What it holds is not to live until the next one comes.
    queue.put(None)  # For the next thread.


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


async def until_done(future: asyncio.Future[Any]) -> asyncio.CancelledError | None:
    """Wait for it, however often the task is cancelled; gives the last of these, if any."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:
            break  # The future's own; it is left in there.
    return cancelled
