"""A strategy whose turns wait in the line of all processes and run in any of them.

When a turn may run is Procrastinate's word: it gives a process a turn whose conversation is free.
From there on the turn is in the hands of the same engine as that of one process: deadlines,
agents that ignore their end, replies that are being kept.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import replace
from math import inf
from typing import Any, Protocol

import structlog

from runner import tasks
from runner.engine.ticket import SharedTicket
from runner.store.base import StoreUnavailable
from strategies import (
    Answer,
    Draining,
    DrainTimeout,
    Limits,
    Load,
    Reply,
    State,
    Turn,
    TurnCancelled,
    TurnError,
    WaitExpired,
)
from strategies.engine import Discipline, Engine

AGAIN_S = 0.5

LIVING = (State.WAITING, State.RUNNING)

log = structlog.get_logger(__name__)


class Line(Protocol):
    """The line, as the strategy needs it. Each call may raise StoreUnavailable."""

    async def withdraw(self, ticket: SharedTicket, error: TurnError) -> bool:
        """End a turn that waits; False where it waits no longer."""
        ...

    def runs_again(self, turn_id: str) -> bool:
        """Whether another process is to run it where this one shuts down amid it."""
        ...

    def outlives(self, turn_id: str) -> bool:
        """Whether it was promised to run though this process ends."""
        ...

    async def end(self, ticket: SharedTicket, error: TurnError, *, has_stopped: bool) -> bool:
        """Keep how a turn ended that ran here; False where this process has lost it.

        has_stopped  its agent is not at work: its conversation is free with this.
        """
        ...

    async def finish(self, turn_id: str) -> None:
        """Its agent has stopped here, so its conversation is free."""

    def stop_elsewhere(self, ticket: SharedTicket) -> None:
        """Have whoever runs it cancel it."""

    def look(self, turn_id: str) -> None:
        """Find out what has become of it, soon."""


class SharedStrategy(Discipline):
    """`queue`, `lock` or `reject` over all processes on one Postgres.

    Bounds are checked where the turn is written down, so `submit` is for turns that were. Its
    figures are those of the turns that this process has accepted, wherever they run.
    """

    def __init__(self, answer: Answer, limits: Limits, *, line: Line) -> None:
        self._engine = Engine(answer, limits.turn_timeout_s, self)
        self._limits = limits
        self._line = line
        self._tickets: OrderedDict[str, SharedTicket] = OrderedDict()
        self._ended: Counter[State] = Counter()
        self._slots: dict[str, Callable[[], None]] = {}
        self._waiting: OrderedDict[SharedTicket, None] = OrderedDict()
        self._running = self._refused = 0
        self._draining = False
        self._tasks: set[asyncio.Task[None]] = set()

    # As a Strategy.

    def submit(self, turn: Turn) -> SharedTicket:
        return self._ticket(turn, counts=True, context=copy_context())

    def load(self) -> Load:
        oldest = next(iter(self._waiting), None)
        here = self._engine.load()
        return Load(
            waiting=len(self._waiting),
            running=self._running,
            fenced=here.fenced,
            accepted=len(self._waiting) + self._running + self._ended.total(),
            refused=self._refused,
            ended=dict(self._ended),
            oldest_wait_s=oldest.waited_s if oldest else 0.0,
            service_s=here.service_s,
        )

    async def drain(self, timeout_s: float) -> None:
        self._draining = True
        counted = [ticket for ticket in self._tickets.values() if ticket.counts]
        for ticket in counted:
            if ticket.local is None and self._line.outlives(ticket.turn.id):
                self._leave(ticket, Draining())
            elif ticket.state is State.WAITING:
                self.withdraw(ticket, Draining())
        elsewhere = [one.waiter() for one in counted if one.local is None and one.state in LIVING]
        waited = [tasks.spawn(self._engine.drain(timeout_s), "drain"), *elsewhere]
        await asyncio.wait(waited, timeout=timeout_s + 1.0)
        for ticket in counted:
            if ticket.local is None and ticket.state in LIVING:
                self._leave(ticket, DrainTimeout(outcome="unknown"))
        if self._tasks:
            await asyncio.wait([*self._tasks], timeout=1.0)

    def _leave(self, ticket: SharedTicket, error: TurnError) -> None:
        """It ends for its clients here, and other processes go on with it."""
        del self._tickets[ticket.turn.id]
        ticket.is_left = True
        ticket.end(error)

    def moved(self, ticket: SharedTicket, before: State, after: State) -> None:
        """A ticket that counts has another state."""
        if before is State.WAITING:
            self._waiting.pop(ticket, None)
        elif before is State.RUNNING:
            self._running -= 1
        if after is State.WAITING:
            self._waiting[ticket] = None
            self._waiting.move_to_end(ticket, last=False)  # It came before those that wait.
        elif after is State.RUNNING:
            self._running += 1
        else:
            self._ended[after] += 1

    # What the runner says.

    def admit(self, turn: Turn) -> None:
        """Refuse what need not be written down for that."""
        if self._draining:
            raise self.refuse(Draining())
        if turn.deadline_s is not None and turn.deadline_s <= 0:
            raise self.refuse(WaitExpired())

    def refuse(self, error: TurnError) -> TurnError:
        """Count a refusal."""
        self._refused += 1
        return error

    def follow(self, turn: Turn) -> SharedTicket:
        """A ticket for a turn that another process has accepted."""
        return self._ticket(turn, counts=False, context=copy_context())

    def runs_here(self, turn_id: str) -> bool:
        ticket = self._tickets.get(turn_id)
        return ticket is not None and ticket.local is not None

    async def run(self, ticket: SharedTicket, free: Callable[[], None]) -> None:
        """Call the agent for a turn that was fetched; until it has stopped and that is kept.

        free  is called when its slot is free, perhaps before its agent has stopped.
        """
        while (holder := self._engine.holder(ticket.turn.conversation)) is not None:
            await asyncio.wait([holder.task])  # As it is where this process lost the turn once.
        turn = ticket.turn
        if turn.deadline_s is not None:
            turn = replace(turn, deadline_s=turn.deadline_s - ticket.waited_s)
        if self._is_late(turn.deadline_s):
            ticket.start()
            await self._keep(ticket, WaitExpired(retry_after_s=self._engine.service_time.mean_s))
            return
        self._slots[turn.id] = free
        local = self._engine.accept(turn)
        local.context = ticket.context.copy()
        task = self._engine.start(local)
        ticket.start(local)
        ended = local.waiter()
        await ended
        if isinstance(local.ending, Draining) and self._line.runs_again(ticket.turn.id):
            self._leave(ticket, local.ending)
        elif isinstance(local.ending, TurnError):
            await self._keep(ticket, local.ending)
        elif local.ending is not None:
            self.end(ticket, local.ending)
        await asyncio.wait([task])

    def withdraw(self, ticket: SharedTicket, error: TurnError) -> None:
        """End it with this error, if that is not too late."""
        self._spawn(self._withdraw(ticket, error))

    def end(
        self, ticket: SharedTicket, ending: Reply | TurnError, state: State | None = None
    ) -> None:
        """What it came to is kept, and may be seen."""
        if self._tickets.pop(ticket.turn.id, None) is not None:
            ticket.end(ending, state)

    # As a Discipline, of an engine in which nothing waits: Procrastinate counts the slots.

    def freed(self, turn: Turn, /) -> None:
        if (free := self._slots.pop(turn.id, None)) is not None:
            free()

    def _is_late(self, ends_in_s: float | None) -> bool:
        """Whether it cannot end in time any more, or is not expected to."""
        return ends_in_s is not None and ends_in_s <= (self._engine.service_time.mean_s or 0.0)

    def _ticket(self, turn: Turn, *, counts: bool, context: Context) -> SharedTicket:
        ticket = SharedTicket(turn, self, counts=counts, context=context)
        self._tickets[turn.id] = ticket
        if counts:
            self._waiting[ticket] = None
        most_s = self._max_wait_s(turn)
        if counts and most_s < inf:
            loop = asyncio.get_running_loop()
            ticket.timer = loop.call_later(most_s, self._expire, ticket)
        return ticket

    def _max_wait_s(self, turn: Turn) -> float:
        deadline_s, said = turn.deadline_s, self._limits.max_wait_s
        if deadline_s is not None and deadline_s < inf:
            return deadline_s
        return inf if said is None else said

    def _expire(self, ticket: SharedTicket) -> None:
        if ticket.state is State.WAITING:
            self.withdraw(ticket, WaitExpired(retry_after_s=self._engine.service_time.mean_s))

    async def _withdraw(self, ticket: SharedTicket, error: TurnError) -> None:
        while ticket.local is None and ticket.state in LIVING:
            try:
                if await self._line.withdraw(ticket, error):
                    self.end(ticket, error)
                    return
            except StoreUnavailable:
                await asyncio.sleep(AGAIN_S)
                continue
            self._line.look(ticket.turn.id)
            if not isinstance(error, TurnCancelled):
                return  # It has begun in time.
            self._line.stop_elsewhere(ticket)
            # Again: who has fetched it may not have come to its agent, and then nobody hears.
            await asyncio.sleep(AGAIN_S)
        if ticket.local is not None and isinstance(error, TurnCancelled):
            ticket.local.cancel()

    async def _keep(self, ticket: SharedTicket, error: TurnError) -> None:
        """Its run has ended without a reply: have that kept, unless the turn is another's now."""
        while True:
            try:
                has_stopped = self._engine.holder(ticket.turn.conversation) is None
                is_kept = await self._line.end(ticket, error, has_stopped=has_stopped)
            except StoreUnavailable as fault:
                log.warning("an ending is not kept yet", turn_id=ticket.turn.id, reason=str(fault))
                await asyncio.sleep(AGAIN_S)
                continue
            if is_kept:
                self.end(ticket, error)
            else:
                ticket.wait_again()
                self._line.look(ticket.turn.id)
            return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = tasks.spawn(work, "line")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
