"""The ticket of a turn that any process may run: its caller's side, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING

from strategies import Place, Reply, State, Ticket, Turn, TurnCancelled, TurnError
from strategies.ticket import LocalTicket

if TYPE_CHECKING:
    from runner.engine.strategy import SharedStrategy

WAITING, RUNNING, ANSWERED = State.WAITING, State.RUNNING, State.ANSWERED


class SharedTicket:
    """A turn in the line of all processes.

    counts      whether it was accepted in this process, which counts it then.
    is_left     other processes go on with it; here it has ended, for its clients.
    local       the ticket of this process's engine, while the turn runs here.
    known_place where it stands, as this process last heard.
    """

    def __init__(
        self, turn: Turn, strategy: SharedStrategy, *, counts: bool, context: Context
    ) -> None:
        self.turn = turn
        self.counts = counts
        self.context = context
        self.is_left = False
        self.local: LocalTicket | None = None
        self.known_place = Place()
        self.timer: asyncio.TimerHandle | None = None
        self.accepted_at = _now()
        self.ended_at: float | None = None
        self._strategy = strategy
        self._started_at: float | None = None
        self._ending: Reply | TurnError | None = None
        self._state = WAITING
        self._waiters: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        return f"<turn {self.turn.id} of {self.turn.conversation!r}: {self._state}>"

    # As a Ticket.

    @property
    def state(self) -> State:
        return self._state

    def place(self) -> Place | None:
        return self.known_place if self._state is WAITING else None

    def position(self) -> int | None:
        """As in `place`."""
        return self.known_place.position if self._state is WAITING else None

    @property
    def waited_s(self) -> float:
        until = self.ended_at if self._started_at is None else self._started_at
        return (_now() if until is None else until) - self.accepted_at

    @property
    def ran_s(self) -> float:
        if self._started_at is None:
            return 0.0
        return (_now() if self.ended_at is None else self.ended_at) - self._started_at

    def cancel(self) -> bool:
        """As `Ticket.cancel`, but for a turn that is not here: then it ends when that is sure."""
        if self._ending is not None:
            return False
        if self.local is not None:
            return self.local.cancel()
        self._strategy.withdraw(self, TurnCancelled())
        return True

    def result(self) -> Reply:
        if self._ending is None:
            raise asyncio.InvalidStateError(f"{self!r} has not ended")
        if isinstance(self._ending, TurnError):
            raise self._ending.again()
        return self._ending

    def add_done_callback(self, callback: Callable[[Ticket], object], /) -> None:
        self.waiter().add_done_callback(lambda done: callback(self))

    async def reply(self) -> Reply:
        await self.waiter()
        return self.result()

    # What the strategy has heard.

    def start(self, local: LocalTicket | None = None) -> None:
        """An agent was called for it: here, with this ticket, or in another process."""
        self.local = local
        self._started_at = _now()
        self._move(RUNNING)

    def wait_again(self) -> None:
        """The process that ran it is gone, or is taken for gone; it stands in the line again."""
        self.local = None
        self._started_at = None
        self._move(WAITING)

    def end(self, ending: Reply | TurnError, state: State | None = None) -> None:
        """What it came to; once. state: where it is not that of the error."""
        if self._ending is not None:
            return
        of_it = ending.state if isinstance(ending, TurnError) else ANSWERED
        self._move(state or of_it)
        self._ending = ending
        self.ended_at = _now()
        self.local = None
        if self.timer is not None:
            self.timer.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters = []

    def _move(self, state: State) -> None:
        before, self._state = self._state, state
        if self.counts:
            self._strategy.moved(self, before, state)

    def waiter(self) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._ending is None:
            self._waiters.append(waiter)
        else:
            waiter.set_result(None)
        return waiter


def _now() -> float:
    return asyncio.get_running_loop().time()
