"""Threads for what is not async: agents, and a store's files.

Not `ThreadPoolExecutor`: a thread of it that hangs keeps the process from exiting, and on
Python 3.11 a StopIteration never reaches its waiter. Here any outcome comes back as a value.

No thread can be stopped. One whose call was given up, and which has not come back a second
later, *hangs*: another takes its place, up to a bound, and it ends when its call does. That is
the second after which the engine writes off the slot of the same turn, so one who is given a
slot then also finds a thread. Of several callers each may have its share of the bound hanging;
its further calls fail, so that the others find threads.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, TypeVar, cast

import structlog

from strategies import State, TurnError
from strategies.engine import GIVE_UP_SLOT_S

T = TypeVar("T")
Work = Callable[[], None]
Outcome = tuple[Any, BaseException | None]
"""What a function gave, and what it raised: one of them is None."""

log = structlog.get_logger(__name__)


class AgentHangs(TurnError, state=State.FAILED, outcome="rolled_back"):
    """Too many of your turns hang in the agent. Send the message again when they have ended."""


class Threads:
    """Daemon threads, started when they are needed, at most `most`; they end with this object.

    Those that hang do not count, as long as no more than `most_hung` do.

    callers  how many there are. Each may have an equal share of `most_hung` hanging.
    """

    def __init__(
        self, most: int, name: str = "agent", most_hung: int = 0, callers: int = 1
    ) -> None:
        self.hung = 0
        self.most_hung = most_hung
        self._hung_of: Counter[str] = Counter()
        # Without replacements what hangs is taken from all: then a share of all.
        self._share = max((most_hung or most) // callers, 1) if callers > 1 else None
        self._most = most
        self._name = name
        self._free = asyncio.Semaphore(most)
        self._calls = 0
        self._threads = 0
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        weakref.finalize(self, self._queue.put, None)

    async def run(self, function: Callable[[], T], caller: str = "") -> T:
        """What the function gives or raises; cancelled, this waits until it has ended.

        Raises AgentHangs where the caller's share of the threads hangs.
        """
        if self._share is not None and self._hung_of[caller] >= self._share:
            raise AgentHangs
        await self._free.acquire()  # A call that is cancelled meanwhile is not made.
        patience = _Patience(self, caller)
        outcome = self.start(function)
        outcome.add_done_callback(patience.end)
        if await until_done(outcome, patience.begin):
            await asyncio.sleep(0)  # This raises it.
        return cast("T", given(outcome.result()))

    def start(self, function: Callable[[], object]) -> asyncio.Future[Outcome]:
        """Call the function as soon as a thread is free, whoever waits for the outcome."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = loop.create_future()
        context = copy_context()

        def work() -> None:
            ended: Outcome
            try:
                ended = context.run(function), None
            except BaseException as error:
                ended = None, error
            with suppress(RuntimeError):  # The loop is closed, and nobody waits any more.
                loop.call_soon_threadsafe(self._end, outcome, ended)

        self._queue.put(work)
        self._calls += 1
        if self._threads < min(self._calls, self._most_now):
            self._threads += 1
            threading.Thread(
                target=_serve, args=(self._queue,), name=self._name, daemon=True
            ).start()
        return outcome

    @property
    def _most_now(self) -> int:
        return self._most + min(self.hung, self.most_hung)

    @property
    def exhausted(self) -> bool:
        """Whether none would take the place of one that hangs."""
        return self.hung >= max(self.most_hung, 1)

    def hang(self, caller: str) -> None:
        """One that was given up has not come back."""
        self.hung += 1
        self._hung_of[caller] += 1
        if self.hung <= self.most_hung:
            self._free.release()
        log.warning(
            "a thread hangs",
            name=self._name,
            hung=self.hung,
            replaced=min(self.hung, self.most_hung),
        )

    def come_back(self, caller: str, hung: bool) -> None:
        """A call has ended: one that hung, or any other."""
        self.hung -= hung
        if hung:
            self._hung_of -= Counter({caller: 1})  # Which leaves no zero behind.
        if not hung or self.hung >= self.most_hung:
            self._free.release()
        if self._threads > self._most_now:
            self._threads -= 1
            self._queue.put(_retire)

    def _end(self, outcome: asyncio.Future[Outcome], ended: Outcome) -> None:
        self._calls -= 1
        if not outcome.done():
            outcome.set_result(ended)


class _Patience:
    """With a call that was given up."""

    def __init__(self, threads: Threads, caller: str) -> None:
        self._threads = threads
        self._caller = caller
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def begin(self) -> None:
        """Again when the call is given up again: an agent may be told first to end by itself."""
        if self._is_over:
            return
        self._stop()
        self._timer = asyncio.get_running_loop().call_later(GIVE_UP_SLOT_S, self._run_out)

    def end(self, ended: object) -> None:
        self._stop()
        self._threads.come_back(self._caller, hung=self._is_over)

    def _run_out(self) -> None:
        self._is_over = True
        self._threads.hang(self._caller)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _retire() -> None:
    """In place of a call: the thread that takes it ends."""


def _serve(queue: SimpleQueue[Work | None]) -> None:
    while (work := queue.get()) is not None:
        if work is _retire:
            return
        work()
        del work  # What it holds is not to live until the next one comes.
    queue.put(None)  # For the next thread.


def given(outcome: Outcome) -> Any:
    """What the function gave. Raises what it raised."""
    value, error = outcome
    if error is not None:
        raise error
    return value


async def until_done(
    future: asyncio.Future[Any], when_cancelled: Callable[[], object] = lambda: None
) -> bool:
    """Wait for it, however often the task is cancelled: then its next `await` is, and True."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError:
            cancelled = True
            if not future.done():  # It may have ended in the tick in which this was cancelled.
                when_cancelled()
        except Exception:
            break  # The future's own; it is left in there.
    if cancelled and (task := asyncio.current_task()) is not None:
        task.uncancel()  # It is the same request, only later, and is not to count twice.
        task.cancel()
    return cancelled
