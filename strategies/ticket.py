"""The ticket of a turn that runs in this process: its caller's side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from .base import Place, Reply, Ticket, Turn
from .errors import State, TurnCancelled, TurnError

if TYPE_CHECKING:
    from .engine import Engine
    from .phases import Run

# Names of the module: in Python 3.11 `State.WAITING` takes ten times as long.
WAITING, ANSWERED, INTERRUPTED = State.WAITING, State.ANSWERED, State.INTERRUPTED


@dataclass(eq=False, slots=True)
class LocalTicket:
    """A turn accepted in this process.

    ending  what the turn came to: its reply or its error. None until it has ended.
    run     the call of the agent, while the turn runs.
    runs_before
            runs that its line, and its caller's lines, had given before it came (see `lines`).
    """

    turn: Turn
    _engine: Engine
    accepted_at: float
    state: State = WAITING
    started_at: float | None = None
    ended_at: float | None = None
    ending: Reply | TurnError | None = None
    context: Context | None = None
    run: Run | None = None
    timer: asyncio.TimerHandle | None = None
    runs_before: tuple[int, int] = (0, 0)
    # Of plain `list` pyright does not know what is in it.
    _waiters: list[asyncio.Future[None]] = field(default_factory=lambda: [])  # noqa: PIE807

    def __repr__(self) -> str:
        return f"<turn {self.turn.id} of {self.turn.conversation!r}: {self.state}>"

    def place(self) -> Place | None:
        return self._engine.discipline.place(self) if self.state is WAITING else None

    def position(self) -> int | None:
        """As in `place`."""
        return self._engine.discipline.position(self) if self.state is WAITING else None

    @property
    def deadline(self) -> float:
        """The instant at which it must have ended; inf where it has none."""
        deadline_s = self.turn.deadline_s
        return inf if deadline_s is None else self.accepted_at + deadline_s

    @property
    def waited_s(self) -> float:
        until = self.ended_at if self.started_at is None else self.started_at
        return (self._engine.now() if until is None else until) - self.accepted_at

    @property
    def ran_s(self) -> float:
        if self.started_at is None:
            return 0.0
        return (self._engine.now() if self.ended_at is None else self.ended_at) - self.started_at

    def cancel(self) -> bool:
        return self._engine.withdraw(self, TurnCancelled)

    def result(self) -> Reply:
        if self.ending is None:
            raise asyncio.InvalidStateError(f"{self!r} has not ended")
        if isinstance(self.ending, TurnError):
            raise self.ending.again()
        return self.ending

    def add_done_callback(self, callback: Callable[[Ticket], object], /) -> None:
        self.waiter().add_done_callback(lambda done: callback(self))

    async def reply(self) -> Reply:
        waiter = self.waiter()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            raise
        return self.result()

    def waiter(self) -> asyncio.Future[None]:
        """A future of the caller's own, done at the end of the turn."""
        # One for each, as one that leaves cancels what it waits for.
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.ending is None:
            self._waiters.append(waiter)
        else:
            waiter.set_result(None)
        return waiter

    def end(self, ending: Reply | TurnError, now: float) -> None:
        """The engine says what the turn came to, once."""
        if isinstance(ending, TurnError):
            self.state = ending.state
        else:
            self.state = INTERRUPTED if ending.interrupted else ANSWERED
        self.ending = ending
        self.ended_at = now
        self.run = self.context = None
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters = []
