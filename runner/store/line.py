"""The line of writes before a database: one thread does them, in the order in which they began.

Those that stand in line when the thread is free share one transaction. A write takes place
though its caller is cancelled, and though the event loop is held up meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from runner.agents.threads import Outcome, Threads, given, until_done
from runner.store.base import NothingKept, StoreUnavailable

T = TypeVar("T")

MOST_TOGETHER = 128
"""Writes in one transaction: none of them is acknowledged before the last one is done."""


@dataclass(slots=True, eq=False)
class Write:
    """A step of a transaction, and who waits for its outcome.

    step  is given the connection; it may be done again, where nothing of it was kept.
    ask   gives what `step` gave, or None where nothing of it is kept: for when COMMIT fails.
    """

    step: Callable[[Any], Any]
    result: asyncio.Future[Outcome]
    ask: Callable[[Any], Any] | None = None
    outcome: Outcome = (None, None)


class WriteLine:
    """Writes that wait, and the thread `name` that does them.

    do       is called in the thread, with some of them; it gives each its outcome and True, or
             False where none was done: then they stand at the head of the line, which stops.
    stopped  is then called in the event loop.
    patience_s  those that wait for so long while the line stands still are not kept.
    """

    def __init__(
        self,
        name: str,
        do: Callable[[Sequence[Write]], bool],
        stopped: Callable[[], object] = lambda: None,
        patience_s: float = 0.0,
    ) -> None:
        self._do = do
        self._patience_s = patience_s
        self._stopped = stopped
        self._thread = Threads(1, name)
        self._waiting: list[Write] = []
        self._is_writing = False
        self.is_stopped = False
        self.run = self._thread.run
        self.start = self._thread.start

    async def write(
        self,
        step: Callable[[Any], T],
        ask: Callable[[Any], T | None] | None = None,
        *,
        though_cancelled: bool = False,
    ) -> T:
        """What the step gives; it is done even if the caller is cancelled, who may wait on.

        ask  gives the same, or None where nothing is kept, should COMMIT fail; without it,
             or where that cannot be asked either, the outcome of the error is `unknown`.
        """
        written = self.put(step, ask).result
        if though_cancelled:
            await until_done(written)
        return cast("T", given(await written))

    def put(self, step: Callable[[Any], Any], ask: Callable[[Any], Any] | None = None) -> Write:
        write = Write(step, asyncio.get_running_loop().create_future(), ask)
        self._waiting.append(write)
        if self.is_stopped:
            self._lose_patience_with([write])
        self.go()
        return write

    def go(self) -> None:
        """Have the thread do what waits, or nothing but look at its connection."""
        if not self._is_writing and not self.is_stopped:
            self._start()

    def go_on(self) -> None:
        """After it has stopped."""
        self.is_stopped = False
        self.go()

    @property
    def waiting(self) -> Sequence[Write]:
        return self._waiting

    def drop(self, writes: Iterable[Write]) -> None:
        """Those of them that still wait are not kept."""
        named = set(writes)
        gone = [one for one in self._waiting if one in named]
        # In place: the thread may have just looked at the list.
        self._waiting[:] = [one for one in self._waiting if one not in named]
        fail(gone, TimeoutError("the database cannot be reached"), NothingKept)
        _tell(gone)

    def _lose_patience_with(self, writes: Iterable[Write]) -> None:
        asyncio.get_running_loop().call_later(self._patience_s, self._drop_if_stopped, writes)

    def _drop_if_stopped(self, writes: Iterable[Write]) -> None:
        if self.is_stopped:
            self.drop(writes)

    def _start(self) -> None:
        writes: list[Write] = []
        ended = self._thread.start(lambda: self._write(writes))
        self._is_writing = True
        ended.add_done_callback(partial(self._written, writes))

    def _write(self, writes: list[Write]) -> bool:
        """Do what stands in line; it is put into `writes`, which is empty."""
        writes += self._waiting[:MOST_TOGETHER]
        del self._waiting[: len(writes)]
        return self._do(writes)

    def _written(self, writes: list[Write], ended: asyncio.Future[Outcome]) -> None:
        """The thread is done with these; whatever it raised, all are told, and the line goes on."""
        self._is_writing = False
        done, error = ended.result()
        if error is None and not done:
            self._waiting[:0] = writes
            self.is_stopped = True
            self._lose_patience_with([*self._waiting])
            self._stopped()
            return
        try:
            if self._waiting:
                self._start()
        finally:
            if error is not None:
                fail(writes, error)
            _tell(writes)


def fail(
    writes: Iterable[Write], error: BaseException, kind: type[StoreUnavailable] = StoreUnavailable
) -> None:
    """Give this outcome to all but those that failed by themselves."""
    for write in writes:
        if write.outcome[1] is None:
            write.outcome = failed(error, kind)


def failed(error: BaseException, kind: type[StoreUnavailable]) -> Outcome:
    """One object for each who waits: raised at many, it would grow its traceback with each."""
    if isinstance(error, StoreUnavailable):
        return None, error.again()
    failure = kind()
    failure.__cause__ = error
    return None, failure


def _tell(writes: Iterable[Write]) -> None:
    for write in writes:
        if not write.result.done():  # As it is where its caller was cancelled.
            write.result.set_result(write.outcome)
