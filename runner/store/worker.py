"""One thread that does a store's work, in order; writes that stand in line together, at once."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

T = TypeVar("T")

MOST_TOGETHER = 128
"""Writes in one transaction: none of them is acknowledged before the last one is done."""

Step = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """In place of what a step gives: what it raised."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class _Call:
    step: Step
    is_write: bool
    settle: Callable[[Any], None]


class Worker:
    """A daemon thread, started by the first call: a disk that hangs must not keep the process.

    together  does several writes in one step, and gives for each its result or `Failed`;
              what it raises, all of them raise.
    """

    def __init__(self, name: str, together: Callable[[Sequence[Step]], Sequence[Any]]) -> None:
        self._name = name
        self._together = together
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, step: Callable[[], T], *, is_write: bool = False) -> T:
        """What the step gives or raises. It is done even if the caller is cancelled meanwhile."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def settle(outcome: Any) -> None:
            with suppress(RuntimeError):  # The loop is closed, and nobody waits any more.
                loop.call_soon_threadsafe(_arrive, result, outcome)

        self._calls.put(_Call(step, is_write, settle))
        return await result

    def stop(self) -> None:
        """End the thread after what it has been given; a later call starts another."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread = None

    def _work(self) -> None:
        ended = False
        while not ended:
            batch = self._take()
            ended = batch[-1] is None
            calls = [call for call in batch if call is not None]
            for is_write, group in groupby(calls, key=lambda call: call.is_write):
                if is_write:
                    self._write(list(group))
                else:
                    for call in group:
                        call.settle(_outcome(call.step))

    def _take(self) -> list[_Call | None]:
        """What stands in line, up to the end that `stop` asks for; waits for the first."""
        batch = [self._calls.get()]
        with suppress(queue.Empty):
            while batch[-1] is not None and len(batch) < MOST_TOGETHER:
                batch.append(self._calls.get_nowait())
        return batch

    def _write(self, group: list[_Call]) -> None:
        outcome = _outcome(lambda: self._together([call.step for call in group]))
        outcomes = [outcome] * len(group) if isinstance(outcome, Failed) else outcome
        for call, one in zip(group, outcomes, strict=True):
            call.settle(one)


def _outcome(step: Step) -> Any:
    try:
        return step()
    except BaseException as error:
        return Failed(error)


def _arrive(result: asyncio.Future[Any], outcome: Any) -> None:
    if result.done():
        return
    if isinstance(outcome, Failed):
        result.set_exception(outcome.error)
    else:
        result.set_result(outcome)
