"""Lock: one fair lock for each conversation, and everything waits for it."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from .base import Answer, Limits, Load, Ticket, Turn
from .engine import Discipline, Engine
from .ticket import LocalTicket


class Lock(Discipline):
    """Turns of a conversation run in order of arrival; any number wait, up to their deadlines.

    `asyncio.Lock` wakes its waiters first in, first out, and is safe against those that
    leave. It cannot say who stands where. Takes `turn_timeout_s` of the limits alone.
    """

    uses = frozenset({"turn_timeout_s"})

    def __init__(self, answer: Answer, limits: Limits) -> None:
        self._engine = Engine(answer, limits.turn_timeout_s, self)
        # A lock lives as long as a task holds or awaits it, so idle conversations leave nothing.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: dict[LocalTicket, asyncio.Task[None]] = {}

    def submit(self, turn: Turn) -> Ticket:
        self._engine.admit(turn)
        ticket = self._engine.accept(turn)
        lock = self._locks.setdefault(turn.conversation, asyncio.Lock())
        task = asyncio.get_running_loop().create_task(self._take(lock, ticket))
        self._tasks[ticket] = task
        task.add_done_callback(lambda done: self._tasks.pop(ticket, None))
        return ticket

    def load(self) -> Load:
        return self._engine.load()

    async def drain(self, timeout_s: float) -> None:
        await self._engine.drain(timeout_s)

    async def _take(self, lock: asyncio.Lock, ticket: LocalTicket) -> None:
        async with lock:
            # `wait`, for the lock is held until the agent has stopped, however it ends.
            await asyncio.wait({self._engine.start(ticket)})

    def left(self, ticket: LocalTicket, /) -> None:
        self._tasks[ticket].cancel()
