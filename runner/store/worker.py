"""A thread that does a store's work in order; what stands in line together is done at once."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

Step = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """In place of what a step gives: what it raised."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class _Call:
    step: Step
    result: asyncio.Future[Any]
    is_last: bool


class Worker:
    """A daemon thread, started by the first call: a disk that hangs must not keep the process.

    together  does up to `most` steps at once, and gives for each its result or `Failed`;
              what it raises, all of them raise.
    """

    def __init__(
        self, name: str, together: Callable[[Sequence[Step]], Sequence[Any]], most: int
    ) -> None:
        self._name = name
        self._together = together
        self._most = most
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, step: Callable[[], T]) -> T:
        """What the step gives or raises. It is done even if the caller is cancelled meanwhile."""
        return await self._put(step, is_last=False)

    async def stop(self, step: Step) -> None:
        """Do this last step by itself and end the thread; a later call starts another."""
        result = self._put(step, is_last=True)
        self._thread = None
        await result

    def _put(self, step: Callable[[], T], *, is_last: bool) -> asyncio.Future[T]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put(_Call(step, result, is_last))
        return result

    def _work(self) -> None:
        last: _Call | None = None
        while last is None:
            calls = self._take()
            if calls[-1].is_last:
                last = calls.pop()
            if calls:
                self._do(calls)
        _settle([last], [outcome_of(last.step)])

    def _do(self, calls: Sequence[_Call]) -> None:
        outcome = outcome_of(lambda: self._together([call.step for call in calls]))
        every = [outcome] * len(calls) if isinstance(outcome, Failed) else outcome
        _settle(calls, every)

    def _take(self) -> list[_Call]:
        """What stands in line, up to the last step of all; waits for the first."""
        batch = [self._calls.get()]
        with suppress(queue.Empty):
            while not batch[-1].is_last and len(batch) < self._most:
                batch.append(self._calls.get_nowait())
        return batch


def outcome_of(step: Step) -> Any:
    """What the step gives, or `Failed`."""
    try:
        return step()
    except BaseException as error:
        return Failed(error)


def _settle(calls: Sequence[_Call], outcomes: Sequence[Any]) -> None:
    for call, outcome in zip(calls, outcomes, strict=True):
        with suppress(RuntimeError):  # The loop is closed, and nobody waits any more.
            call.result.get_loop().call_soon_threadsafe(_arrive, call.result, outcome)


def _arrive(result: asyncio.Future[Any], outcome: Any) -> None:
    if result.done():
        return
    if isinstance(outcome, Failed):
        result.set_exception(outcome.error)
    else:
        result.set_result(outcome)
