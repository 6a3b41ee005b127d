"""A turn behind HTTP, from its acceptance until it is forgotten: a table of its life.

Two things happen to a turn, and neither waits for the other: an agent is called for it
and stops, and the turn ends. So there are five phases, and three events lead from one to
the next:

    phase     means                                             call     stop     end
    WAITING   the agent was not called for it, in this process  RUNNING           ENDED
    RUNNING   the agent is at work                                       STOPPED  FENCED
    STOPPED   the agent has stopped, the end is being kept                        ENDED
    FENCED    the turn has ended, and its agent goes on                  ENDED
    ENDED     both are over

An event that the table does not have is a bug, and raises. What became of the turn is in
`ending`, which there is in FENCED and ENDED and in no other phase.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Literal

from runner.settings import OnDisconnect
from runner.store.base import AcceptedTurn, Ending
from runner.turns.text import GrowingText
from strategies import State, Ticket, Turn


class Phase(Enum):
    """See the table above."""

    WAITING = auto()
    RUNNING = auto()
    STOPPED = auto()
    FENCED = auto()
    ENDED = auto()


Event = Literal["call", "stop", "end"]

NEXT: dict[tuple[Phase, Event], Phase] = {
    (Phase.WAITING, "call"): Phase.RUNNING,
    (Phase.WAITING, "end"): Phase.ENDED,
    (Phase.RUNNING, "stop"): Phase.STOPPED,
    (Phase.RUNNING, "end"): Phase.FENCED,
    (Phase.STOPPED, "end"): Phase.ENDED,
    (Phase.FENCED, "stop"): Phase.ENDED,
}

AT_WORK = frozenset({Phase.RUNNING, Phase.FENCED})

LASTING: dict[OnDisconnect, int] = {"cancel": 0, "drop-waiting": 1, "continue": 2}
"""Of several clients' wishes for one turn the most lasting one counts."""


class LiveTurn:
    """What is known of a turn in this process.

    phase          where it stands in the table above.
    ticket         the strategy's, until the turn has ended.
    attempts       calls of the agent for it, in earlier processes too.
    key            the idempotency key under which it was asked, or None.
    row            whether it could be written down; None for a turn nobody can ask for again.
    on_disconnect  what becomes of it when the last client that waits for it has left.
    waiters        clients that wait for its end over a connection of theirs.
    promised       a client was told, or left believing, that it goes on without a client.
    abandoned      it was cancelled because its clients had left.
    text           the reply so far, of the current attempt.
    ending         what became of it, once that is kept and may be seen.
    fault          the exception behind `ending`, for the log; lost with the process.
    """

    __slots__ = (
        "_listeners", "_waiters", "abandoned", "attempts", "ended_at", "ending", "fault", "key",
        "on_disconnect", "phase", "promised", "row", "text", "ticket", "turn", "waiters",
    )  # fmt: skip

    def __init__(self, turn: Turn, *, key: str | None = None, attempts: int = 0) -> None:
        self.turn = turn
        self.key = key
        self.attempts = attempts
        self.phase = Phase.WAITING
        self.ticket: Ticket | None = None
        self.row: asyncio.Future[bool] | None = None
        self.on_disconnect: OnDisconnect = "cancel"
        self.waiters = 0
        self.promised = False
        self.abandoned = False
        self.text = GrowingText()
        self.ending: Ending | None = None
        self.ended_at = 0.0
        self.fault: BaseException | None = None
        self._listeners: list[Callable[[], object]] = []
        self._waiters: list[asyncio.Future[None]] = []

    @classmethod
    def from_kept(cls, kept: AcceptedTurn) -> LiveTurn:
        """A turn that the store remembers, with its ending."""
        turn = Turn(kept.id, kept.conversation, kept.message, priority=kept.priority)
        # One that only the history remembers has a reply, and so was asked once at least.
        replied = kept.ending is not None and kept.ending.reply is not None
        live = cls(turn, key=kept.key, attempts=kept.attempts or int(replied))
        if kept.ending is not None:
            live.end(kept.ending)
        return live

    def __repr__(self) -> str:
        return f"<turn {self.turn.id} of {self.turn.conversation!r}: {self.phase.name}>"

    @property
    def state(self) -> State:
        """As a client is told it."""
        if self.ending is not None:
            return self.ending.state
        # One whose ending is being kept has not ended for anyone yet.
        has_slot = self.ticket is not None and self.ticket.state is State.RUNNING
        return State.RUNNING if has_slot or self.is_called else State.WAITING

    @property
    def is_settled(self) -> bool:
        """Whether it is decided what becomes of it, though that may not be kept yet."""
        return self.ticket is None or self.ticket.state not in (State.WAITING, State.RUNNING)

    @property
    def is_called(self) -> bool:
        """Whether the agent was called for it in this process."""
        return self.phase is not Phase.WAITING

    @property
    def is_at_work(self) -> bool:
        """Whether its agent has not stopped yet."""
        return self.phase in AT_WORK

    # The three events.

    def call(self) -> None:
        """The agent is about to be called."""
        self._move("call")
        self.attempts += 1
        self.tell()

    def stop(self) -> None:
        """The agent has really stopped."""
        self._move("stop")
        self.tell()

    def end(self, ending: Ending, fault: BaseException | None = None) -> None:
        """What became of the turn is kept, and may be seen."""
        self._move("end")
        self.ending, self.fault = ending, fault
        self.ticket = None
        self.ended_at = asyncio.get_running_loop().time()
        self.text.become(str(self.text) if ending.reply is None else ending.reply)
        for waiter in self._waiters:
            wake(waiter)
        self._waiters = []
        self.tell()

    def _move(self, event: Event) -> None:
        phase = NEXT.get((self.phase, event))
        if phase is None:
            raise AssertionError(f"{self!r} cannot {event}")
        self.phase = phase

    # What a client wants, and what it is told.

    def wish(self, on_disconnect: OnDisconnect) -> None:
        """A client says what is to become of the turn when it leaves."""
        self.on_disconnect = max(self.on_disconnect, on_disconnect, key=LASTING.__getitem__)

    def say(self, piece: str) -> None:
        if self.phase is Phase.RUNNING:  # A thread that cannot be stopped goes on speaking.
            self.text.add(piece)
            self.tell()

    def until_ended(self) -> asyncio.Future[None]:
        """Done when the turn has ended, or when somebody calls `wake`. Each caller has its own,
        and cancels it when it waits no longer.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.ending is None:
            self._waiters = [one for one in self._waiters if not one.done()]
            self._waiters.append(waiter)
        else:
            wake(waiter)
        return waiter

    def listen(self, listener: Callable[[], object]) -> None:
        """Call it whenever something has changed; what, it sees for itself."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], object]) -> None:
        self._listeners.remove(listener)

    def tell(self) -> None:
        """Something has changed, its place in the line perhaps."""
        for listener in self._listeners:
            listener()


def wake(waiter: asyncio.Future[None], _: object = None) -> None:
    """Let go whoever waits for it, if nobody has."""
    if not waiter.done():
        waiter.set_result(None)
