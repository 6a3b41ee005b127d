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
from enum import StrEnum
from typing import Literal

from runner.agents.base import Told
from runner.callers import caller_of
from runner.settings import OnDisconnect
from runner.store.base import AcceptedTurn, Ending
from runner.turns import content
from runner.turns.origin import UNKNOWN, Origin
from runner.turns.text import GrowingText
from strategies import State, Ticket, Turn

Phase = StrEnum("Phase", "WAITING RUNNING STOPPED FENCED ENDED")
# Names of the module: in Python 3.11 `Phase.RUNNING` takes ten times as long.
WAITING, RUNNING, STOPPED, FENCED, ENDED = Phase
Event = Literal["call", "stop", "end"]

NEXT: dict[tuple[Phase, Event], Phase] = {
    (WAITING, "call"): RUNNING,
    (WAITING, "end"): ENDED,
    (RUNNING, "stop"): STOPPED,
    (RUNNING, "end"): FENCED,
    (STOPPED, "end"): ENDED,
    (FENCED, "stop"): ENDED,
}

LASTING: dict[OnDisconnect, int] = {"cancel": 0, "drop-waiting": 1, "continue": 2}
"""Of several clients' wishes for one turn the most lasting one counts."""


class LiveTurn:
    """What is known of a turn in this process.

    phase          where it stands in the table above.
    ticket         the strategy's, until the turn has ended.
    attempts       calls of the agent for it, in earlier processes too.
    counts         whether this process accepted it, and counts it, where others serve too.
    is_kept        how it ended is in the store already, before its ticket says so.
    is_elsewhere   another process calls the agent for it: what that said comes here later.
    key            the idempotency key under which it was asked, or None.
    row            whether it could be written down; None for a turn nobody can ask for again.
    may_have_row   the store could not tell whether it has one, so the row has to end too.
    on_disconnect  what becomes of it when the last client that waits for it has left.
    waiters        clients that wait for its end over a connection of theirs.
    promised       a client was told, or may assume, that it runs to its end without a client.
    abandoned      it was cancelled because its clients had left.
    text           the reply so far, of the current attempt.
    told           what was told between, each with its place in the text.
    first_piece_s  seconds from submission to the first text or use of a tool; None before it.
    ending         what became of it, once that is kept and may be seen.
    fault          the exception behind `ending`, for the log; lost with the process.
    weight         bytes in memory as they were counted: an agent may change what it was given.
    origin         the request that first asked for it.
    trace_id       of the trace that it is in, 32 digits of hex, or "".
    listeners      are called whenever something has changed; what, they see for themselves.
    """

    __slots__ = (
        "_waiters", "abandoned", "attempts", "counts", "ended_at", "ending", "fault",
        "first_piece_s", "is_elsewhere", "is_kept", "key", "listeners", "may_have_row",
        "on_disconnect", "origin", "phase", "promised", "row", "text", "ticket", "told",
        "trace_id", "turn", "waiters", "weight",
    )  # fmt: skip

    def __init__(
        self, turn: Turn, *, key: str | None = None, attempts: int = 0, origin: Origin = UNKNOWN
    ) -> None:
        self.turn = turn
        self.origin = origin
        self.trace_id = origin.trace_id
        self.key = key
        self.counts = True
        self.is_elsewhere = self.is_kept = False
        self.attempts = attempts
        self.phase: Phase = WAITING
        self.ticket: Ticket | None = None
        self.row: asyncio.Future[bool] | None = None
        self.may_have_row = False
        self.on_disconnect: OnDisconnect = "cancel"
        self.waiters = 0
        self.promised = False
        self.abandoned = False
        self.text = GrowingText()
        self.told: list[tuple[int, Told]] = []
        self.first_piece_s: float | None = None
        self.ending: Ending | None = None
        self.ended_at = 0.0
        self.weight = 0
        self.fault: BaseException | None = None
        self.listeners: list[Callable[[], object]] = []
        self._waiters: list[asyncio.Future[None]] = []

    @classmethod
    def from_kept(cls, kept: AcceptedTurn, now: float) -> LiveTurn:
        """A turn that the store remembers: promised, or with its ending."""
        deadline_s = None if kept.deadline_at is None else kept.deadline_at - now
        told = kept.message, deadline_s, kept.priority, kept.strategy
        caller, more = caller_of(kept.conversation), content.from_json(kept.more)
        turn = Turn(kept.id, kept.conversation, *told, caller=caller, more=more)
        origin = Origin(kept.request_id, "", kept.traceparent)
        live = cls(turn, key=kept.key, attempts=kept.attempts, origin=origin)
        live.row = asyncio.get_running_loop().create_future()
        live.row.set_result(True)
        live.promised = True
        if kept.ending is not None:
            # One that only the history remembers has a reply, and so was asked once at least.
            live.attempts = kept.attempts or int(kept.ending.reply is not None)
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
    def is_called(self) -> bool:
        """Whether the agent was called for it in this process."""
        return self.phase is not WAITING

    @property
    def is_at_work(self) -> bool:
        """Whether its agent has not stopped yet."""
        return self.phase in (RUNNING, FENCED)

    @property
    def ends_alike(self) -> bool:
        """Whether the turn ends the same if its client leaves: then nobody need look."""
        is_free = self.row is None and self.on_disconnect != "cancel"
        return is_free and self.state is not State.WAITING

    # The three events.

    def call(self) -> None:
        """The agent is about to be called."""
        self._move("call")
        self.attempts += 1
        self.tell()

    def call_elsewhere(self, attempt: int) -> None:
        """In another process, perhaps after one that is gone: what was said there is void."""
        self.wait_again(attempt - 1)
        self.is_elsewhere = True
        self.call()

    def wait_again(self, attempts: int) -> None:
        """The agent that was called for it does not count any more."""
        self.phase = WAITING
        self.is_elsewhere = False
        self.attempts = attempts
        self.text = GrowingText()
        self.told = []

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
        try:
            self.text.become(str(self.text) if ending.reply is None else ending.reply)
        finally:  # A text that does not fit into memory is no reason to let them wait.
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

    def leave(self) -> None:
        """One of `waiters` is gone. The last takes its turn along, if all who asked wished so."""
        self.waiters -= 1
        if self.waiters or self.ticket is None or self.promised:
            return
        wish = self.on_disconnect
        if wish == "cancel" or (wish == "drop-waiting" and self.state is State.WAITING):
            self.abandoned = self.ticket.cancel()
        self.promised = not self.abandoned

    async def is_written(self) -> bool:
        """Whether the turn has a row; waits until it has."""
        return self.row is not None and await asyncio.shield(self.row)

    async def promise(self) -> bool:
        """Let the turn go on without a client. False where it has ended, or has no row."""
        if not await self.is_written() or self.ticket is None:
            return False
        goes_on = self.ticket.state in (State.WAITING, State.RUNNING)
        self.promised |= goes_on
        return goes_on

    def say(self, piece: str | Told) -> None:
        if self.phase is RUNNING:  # A thread that cannot be stopped goes on speaking.
            if isinstance(piece, str):
                self.text.add(piece)
            else:
                self.told.append((len(self.text), piece))
            if self.first_piece_s is None and self.ticket is not None and _is_seen(piece):
                self.first_piece_s = self.ticket.waited_s + self.ticket.ran_s
            self.tell()

    def until_ended(self) -> asyncio.Future[None]:
        """Done when the turn has ended, or its one waiter is woken; cancelled if it leaves."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.ending is None:
            self._waiters = [one for one in self._waiters if not one.done()]
            self._waiters.append(waiter)
        else:
            wake(waiter)
        return waiter

    def tell(self) -> None:
        """Something has changed."""
        for listener in self.listeners:
            listener()


def _is_seen(piece: str | Told) -> bool:
    """Whether somebody who waits for the reply sees that it begins."""
    return isinstance(piece, str) or piece.kind in ("tool_call", "tool_result")


def wake(waiter: asyncio.Future[None], _: object = None) -> None:
    """Let go whoever waits for it, if nobody has."""
    if not waiter.done():
        waiter.set_result(None)
