"""One turn from its acceptance until it is forgotten, whoever waits for it or comes back to it."""

from __future__ import annotations

import asyncio

from runner.store.base import AcceptedTurn, Ending
from runner.turns.pulse import Pulse
from runner.turns.said import Said
from strategies import State, Ticket, Turn, TurnError


class LiveTurn:
    """What is known of a turn in this process.

    attempts  how often the agent was called for it, in earlier processes too.
    at_work   the agent was called and has not stopped, though the turn may have ended.
    waiters   clients that wait for its end over a connection of theirs.
    detached  a client was told that the turn goes on without it.
    written   whether it could be written down, for somebody may come back to it; else None.
    key       the idempotency key under which it was asked.
    called    the agent was called for it in this process.
    departed  it was cancelled because its clients had left.
    said      the words of the current attempt.
    ending    what became of it, once that is so and kept.
    error     the error itself, with its cause; lost with the process.
    settled   done when the turn has ended; to be waited for with `asyncio.wait`.
    """

    def __init__(self, turn: Turn, attempts: int = 0) -> None:
        self.turn = turn
        self.attempts = attempts
        self.ticket: Ticket | None = None
        self.at_work = False
        self.waiters = 0
        self.detached = False
        self.written: asyncio.Future[bool] | None = None
        self.key: str | None = None
        self.called = False
        self.departed = False
        self.keeping: asyncio.Task[None] | None = None
        self.said = Said()
        self.ending: Ending | None = None
        self.error: TurnError | None = None
        self.pulse = Pulse()
        self.ended_at = 0.0
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    def from_kept(cls, kept: AcceptedTurn) -> LiveTurn:
        """A turn that the store remembers, with its ending."""
        turn = Turn(kept.id, kept.conversation, kept.message, priority=kept.priority)
        # One that only the history remembers has a reply, and so was asked once at least.
        replied = kept.ending is not None and kept.ending.reply is not None
        live = cls(turn, kept.attempts or int(replied))
        live.key = kept.key
        if kept.ending is not None:
            live.said = Said(kept.ending.reply or "")
            live.end(kept.ending)
        return live

    def __repr__(self) -> str:
        return f"<turn {self.turn.id} of {self.turn.conversation!r}: {self.state}>"

    @property
    def state(self) -> State:
        if self.ending is not None:
            return self.ending.state
        waits = self.ticket is None or self.ticket.state is State.WAITING
        # One that has ended and whose ending is being kept has not ended for anyone yet.
        return State.WAITING if waits else State.RUNNING

    def begin(self) -> None:
        """The agent is about to be called."""
        self.attempts += 1
        self.called = True
        self.at_work = True
        self.said = Said()
        self.pulse.beat()

    def stopped(self) -> None:
        """The agent has really stopped."""
        self.at_work = False
        self.pulse.beat()

    def say(self, piece: str) -> None:
        if self.ending is None:  # A thread that cannot be stopped speaks on.
            self.said.add(piece)
            self.pulse.beat()

    def end(self, ending: Ending) -> None:
        if ending.reply is not None:
            self.said = Said(ending.reply)
        self.ending = ending
        self.ended_at = asyncio.get_running_loop().time()
        self.said.join()
        self.settled.set_result(None)
        self.pulse.beat()

    async def ended(self) -> Ending:
        """Wait for the end. Any number may, and each may stop waiting."""
        # Not awaited itself: a waiter that is cancelled would cancel what others wait for.
        await asyncio.wait((self.settled,))
        assert self.ending is not None
        return self.ending
