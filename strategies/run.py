"""One call of the agent: for one turn, or for several that were merged into one."""

from __future__ import annotations

import asyncio

from .base import Turn
from .errors import State
from .ticket import LocalTicket


class Run:
    """What the agent was called for, and its `Attempt`.

    tickets  those that wait for its reply; some of them may have ended before it.
    turn     what the agent is given.
    left     how many of the tickets have not ended. At 0 it is over, and its agent
             holds the conversation until it stops.
    """

    __slots__ = (
        "called",
        "interrupted",
        "left",
        "sealed",
        "started_at",
        "task",
        "tickets",
        "timer",
        "turn",
    )

    def __init__(self, tickets: tuple[LocalTicket, ...], turn: Turn, now: float) -> None:
        self.tickets = tickets
        self.turn = turn
        self.started_at = now
        self.left = len(tickets)
        self.called = False
        self.sealed = False
        self.interrupted = False
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<run of {self.tickets!r}>"

    @property
    def running(self) -> list[LocalTicket]:
        """The tickets that have not ended."""
        return [ticket for ticket in self.tickets if ticket.state is State.RUNNING]

    def seal(self) -> None:
        if not self.left:
            raise asyncio.CancelledError
        if self.interrupted and self.task is not None:
            self.task.uncancel()  # It did what it was told, and is not to be stopped any more.
        self.sealed = True


def merged(tickets: tuple[LocalTicket, ...], joined_by: str) -> Turn:
    """The turn that stands for these: their messages in order, the first one's id."""
    turns = tuple(ticket.turn for ticket in tickets)
    return Turn(
        id=turns[0].id,
        conversation=turns[0].conversation,
        message=joined_by.join(turn.message for turn in turns),
        priority=min(turn.priority for turn in turns),
        merged=turns,
    )
