"""The ticket of a turn that runs in this process: its caller's side."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING

from .base import Reply, Turn
from .errors import Outcome, State, TurnCancelled, TurnError

if TYPE_CHECKING:
    from .run import Run
    from .turns import Turns


class LocalTicket:
    """A turn accepted in this process."""

    __slots__ = (
        "_turns",
        "accepted_at",
        "context",
        "ended_at",
        "error",
        "kept_reply",
        "run",
        "settled",
        "started_at",
        "state",
        "timer",
        "turn",
    )

    def __init__(self, turn: Turn, turns: Turns, now: float) -> None:
        self.turn = turn
        self.state = State.WAITING
        self.accepted_at = now
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.kept_reply: Reply | None = None
        self.error: TurnError | None = None
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.context = copy_context()
        self.run: Run | None = None
        self.timer: asyncio.TimerHandle | None = None
        self._turns = turns

    def __repr__(self) -> str:
        return f"<turn {self.turn.id} of {self.turn.conversation!r}: {self.state}>"

    @property
    def position(self) -> int | None:
        return self._turns.position(self) if self.state is State.WAITING else 0

    @property
    def eta_s(self) -> float | None:
        return self._turns.eta_s(self) if self.state is State.WAITING else 0.0

    @property
    def eta_range_s(self) -> tuple[float, float] | None:
        return self._turns.eta_range_s(self) if self.state is State.WAITING else (0.0, 0.0)

    @property
    def waited_s(self) -> float:
        return self._first(self.started_at, self.ended_at) - self.accepted_at

    @property
    def ran_s(self) -> float:
        return 0.0 if self.started_at is None else self._first(self.ended_at) - self.started_at

    def _first(self, *instants: float | None) -> float:
        known = (instant for instant in instants if instant is not None)
        return next(known, self._turns.now())

    def cancel(self) -> bool:
        outcome: Outcome = "not_started" if self.state is State.WAITING else "rolled_back"
        return self._turns.withdraw(self, TurnCancelled(outcome=outcome))

    async def reply(self) -> Reply:
        if not self.settled.done():
            # A waiter that leaves must not cancel the future that others wait for.
            await asyncio.shield(self.settled)
        if self.error is not None:
            raise self.error.again() from self.error.__cause__
        assert self.kept_reply is not None
        return self.kept_reply
