"""One thread that does a store's work, a call at a time, in order."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """A daemon thread, started by the first call: a disk that hangs must not keep the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, step: Callable[[], T]) -> T:
        """What the step gives or raises. It is done even if the caller is cancelled meanwhile."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def call() -> None:
            settle: Callable[[], None]
            try:
                settle = partial(result.set_result, step())
            except BaseException as error:
                settle = partial(result.set_exception, error)
            with suppress(RuntimeError):  # The loop is closed, and nobody waits any more.
                loop.call_soon_threadsafe(lambda: None if result.done() else settle())

        self._calls.put(call)
        return await result

    def stop(self) -> None:
        """End the thread after what it has been given; a later call starts another."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread = None

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
