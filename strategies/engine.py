"""The one hard thing, once: run a turn to its end, whatever its caller and its agent do.

1. The conversation belongs to the *agent*, not to the caller. A turn runs in a task of
   its own, and its conversation is free when that task has really ended: not when the
   task was told to stop. Between a withdrawal and that end the conversation is *fenced*.
2. A turn ends once, in `_end`, by whoever comes first, and at once. Waiters hang on the
   ticket and never on the task, for a task that is cancelled before its first step runs
   no line of its body, `finally` included.
3. `seal()` decides between a reply and a withdrawal in one tick. Before it, a withdrawn
   turn keeps nothing; after it, the turn will be answered.

What may happen to a run, and when, is the table in `phases`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextvars import copy_context
from math import inf
from typing import Protocol, TypeVar

from . import phases
from .base import Answer, Load, Place, Reply, Turn
from .errors import (
    AgentFailed,
    ConversationBusy,
    Draining,
    DrainTimeout,
    State,
    TurnError,
    TurnInterrupted,
    TurnTimeout,
    WaitExpired,
)
from .phases import Event, Run
from .service_time import ServiceTime, Span
from .ticket import LocalTicket

Timed = TypeVar("Timed", LocalTicket, Run)

WAITING, RUNNING = State.WAITING, State.RUNNING

GIVE_UP_SLOT_S = 1.0
"""A withdrawn agent may take this long to stop before its slot is written off to others."""

COMMIT_GRACE_S = 0.9
"""A sealed turn may outlive its deadline by this long, while its reply is being kept."""


class Discipline(Protocol):
    """The strategy as the engine sees it, as queueing theory calls it: who waits, who is next.

    It writes what it has a use for, and inherits the rest.
    """

    def left(self, ticket: LocalTicket, /) -> None:
        """A waiting turn has ended without having started."""
        return

    def ended(self, ticket: LocalTicket, /) -> None:
        """A turn that ran has ended: answered or not. Its agent may go on."""
        return

    def measured(self, turn: Turn, ran_s: float, /) -> None:
        """A run of this turn, or of the one that it was merged in, took so long."""
        return

    def freed(self, turn: Turn, /) -> None:
        """Its agent has stopped, so its conversation is free; or its slot was written off."""
        return

    def place(self, ticket: LocalTicket, /) -> Place:
        """Where a waiting turn stands."""
        return Place()

    def position(self, ticket: LocalTicket, /) -> int | None:
        """As in its place, for who does not ask for estimates: those cost far more."""
        return self.place(ticket).position


class Engine:
    """The turns of one strategy, from acceptance to their end.

    The strategy calls `admit`, and then `start_now`, or `accept` and later `start`.
    """

    def __init__(
        self, answer: Answer, turn_timeout_s: float | None, discipline: Discipline
    ) -> None:
        self.discipline = discipline
        self.service_time = ServiceTime()
        self.slots: Counter[str] = Counter()
        """Of each caller: agents at work, less those that ignore being told to stop."""
        self._answer = answer
        self._turn_timeout_s = inf if turn_timeout_s is None else turn_timeout_s
        self._waiting: OrderedDict[LocalTicket, None] = OrderedDict()
        self._holders: dict[str, Run] = {}
        self._ended: Counter[State] = Counter()
        self._refused = 0
        self._running = 0
        self._fenced = 0
        self._draining = False

    # What the strategy asks.

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def holder(self, conversation: str) -> Run | None:
        """The run whose agent holds the conversation, running or fenced."""
        return self._holders.get(conversation)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Nothing waits, and no agent is at work."""
        return not self._waiting and not self._holders

    @property
    def service_s(self) -> float:
        """Seconds that a turn runs: the mean, or before a measurement the longest run so far."""
        if self.service_time.mean_s is not None:
            return self.service_time.mean_s
        now = self.now()
        return max((now - run.started_at for run in self._holders.values()), default=0.0)

    def until_free(self, conversation: str) -> Span | None:
        """Until its agent is likely to stop, told to or not; None where nothing tells."""
        holder = self._holders.get(conversation)
        if holder is None or self.service_time.mean_s is None:
            return None
        now = self.now()
        rest = self.service_time.remaining(now - holder.started_at)
        stops_at = max((ticket.deadline for ticket in holder.tickets), default=inf)
        return Span(min(rest.mean_s, max(stops_at - now, 0.0)), rest.variance_s2)

    def load(self) -> Load:
        oldest = next(iter(self._waiting), None)
        return Load(
            waiting=len(self._waiting),
            running=self._running,
            fenced=self._fenced,
            accepted=len(self._waiting) + self._running + self._ended.total(),
            refused=self._refused,
            ended=dict(self._ended),
            oldest_wait_s=oldest.waited_s if oldest else 0.0,
            service_s=self.service_time.mean_s,
        )

    # What the strategy says.

    def refuse(self, error: TurnError) -> TurnError:
        """Count a refusal; the caller raises what this returns."""
        self._refused += 1
        return error

    def refuse_busy(self, conversation: str) -> TurnError:
        """The same for a conversation that is busy, with the time for which it is likely to be."""
        free = self.until_free(conversation)
        return self.refuse(ConversationBusy(retry_after_s=free.mean_s if free else self.service_s))

    def admit(self, turn: Turn) -> None:
        """Refuse what no strategy may take."""
        if self._draining:
            raise self.refuse(Draining())
        if turn.deadline_s is not None and turn.deadline_s <= 0:
            raise self.refuse(WaitExpired())

    def accept(self, turn: Turn, max_wait_s: float = inf) -> LocalTicket:
        """Give the turn a ticket; it waits, for `max_wait_s` or up to its deadline."""
        now = self.now()
        ticket = LocalTicket(turn, self, now)
        ticket.context = copy_context()
        self._waiting[ticket] = None
        self._set_timer(ticket, min(now + max_wait_s, ticket.deadline), self.expire)
        return ticket

    def start_now(self, turn: Turn) -> LocalTicket:
        """Give the turn a ticket and call the agent for it; its conversation is free."""
        # Without a context of its own: a task copies the one in which it is made.
        ticket = LocalTicket(turn, self, self.now())
        self.start(ticket)
        return ticket

    def start(self, *tickets: LocalTicket, as_one: Turn | None = None) -> asyncio.Task[None]:
        """Call the agent for turns of one conversation, which is free; its task.

        Several are merged in the turn `as_one`, and all get its reply.
        """
        turn, now = as_one or tickets[0].turn, self.now()
        assert turn.conversation not in self._holders, "its conversation is not free"
        run = self._holders[turn.conversation] = Run(turn, list(tickets), now)
        self._take_slots(turn.caller, 1)
        self._running += len(tickets)
        for ticket in tickets:
            self._waiting.pop(ticket, None)
            ticket.state = RUNNING
            ticket.started_at = now
            ticket.run = run
            ends_at = min(now + self._turn_timeout_s, ticket.deadline)
            self._set_timer(ticket, ends_at, self._time_out)
        loop = asyncio.get_running_loop()
        run.task = loop.create_task(self._run(run), context=tickets[0].context)
        return run.task

    def expire(self, ticket: LocalTicket) -> None:
        """End a waiting turn that would start too late."""
        self._end(ticket, WaitExpired(retry_after_s=self.service_time.mean_s))

    def withdraw(self, ticket: LocalTicket, kind: type[TurnError]) -> bool:
        """End the turn with such an error, unless it has ended or its reply is being kept."""
        if ticket.state is WAITING:
            self._end(ticket, kind(outcome="not_started"))
            return True
        return self._abandon(ticket.run, phases.WITHDRAW, kind, ticket)

    def interrupt(self, conversation: str, *, keeps_said: bool) -> None:
        """Stop what runs there: with the words that it has (see `Attempt.interrupted`), or none."""
        run = self._holders.get(conversation)
        if run is None:
            return
        if run.phase is phases.STARTED or not keeps_said:
            self._abandon(run, phases.WITHDRAW, TurnInterrupted)
        elif run.move(phases.INTERRUPT):
            run.task.cancel()
            self._set_timer(run, self.now() + GIVE_UP_SLOT_S, self._give_up)

    async def drain(self, timeout_s: float) -> None:
        """As `Strategy.drain`."""
        self._draining = True
        for ticket in list(self._waiting):
            self.withdraw(ticket, Draining)
        runs = [run for run in self._holders.values() if run.tickets]
        running = [ticket for run in runs for ticket in run.tickets]
        if not running:
            return
        # The turns and not their tasks: an agent that ignores its end is not waited for.
        await asyncio.wait([ticket.waiter() for ticket in running], timeout=timeout_s)
        for run in runs:
            kind = Draining if run.phase is phases.STARTED else DrainTimeout
            self._abandon(run, phases.WITHDRAW, kind)
        await asyncio.wait([run.task for run in runs], timeout=COMMIT_GRACE_S)
        for ticket in running:
            self._lose(ticket, DrainTimeout)

    # A run, from its start to its end.

    async def _run(self, run: Run) -> None:
        run.move(phases.CALL)
        try:
            reply = await self._answer(run.turn, run)
            if not isinstance(reply, Reply):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"an answer must return a Reply, and not {type(reply).__name__}")
        except BaseException as cause:
            # All of them: re-raised in a task, SystemExit would end the event loop; and a
            # CancelledError is the agent's own, unless the turn was withdrawn and has ended.
            self._stopped(run, _failure(run, cause))
        else:
            self._stopped(run, reply)

    def _stopped(self, run: Run, ending: Reply | TurnError | None = None) -> None:
        """The agent has really stopped. Called again by the done callback of a withdrawn run."""
        phase = run.phase
        if not run.move(phases.STOP):
            return
        del self._holders[run.turn.conversation]
        if run.timer is not None:
            run.timer.cancel()
        if phase is phases.FENCED or phase is phases.WRITTEN_OFF:
            self._fenced -= 1
        elif ending is not None:
            # A failure says nothing of how long an answer takes; it may come at once.
            if isinstance(ending, Reply) and phase is not phases.CUT_SHORT:
                self._measure(run.turn, self.now() - run.started_at)
            for ticket in tuple(run.tickets):
                self._end(ticket, ending)
        if phase is not phases.WRITTEN_OFF:
            self._take_slots(run.turn.caller, -1)
        self.discipline.freed(run.turn)

    def _take_slots(self, caller: str, count: int) -> None:
        self.slots[caller] += count
        if not self.slots[caller]:
            del self.slots[caller]

    def _abandon(
        self, run: Run | None, event: Event, kind: type[TurnError], *tickets: LocalTicket
    ) -> bool:
        """End these turns of the run, or all: where the event may happen, and by it if all go."""
        if run is None or run.phase not in event:
            return False
        tickets = tickets or tuple(run.tickets)
        # One that leaves others with which it was merged leaves its message there too.
        all_of_them = len(tickets) == len(run.tickets)
        error = kind(outcome=phases.OUTCOME[run.phase] if all_of_them else "unknown")
        if all_of_them:
            # First, so that an agent that stops at once has when the callers learn of the end.
            self._fence(run, event)
        for ticket in tickets:
            self._end(ticket, error)
        return True

    def _lose(self, ticket: LocalTicket, kind: type[TurnError] = TurnTimeout) -> None:
        """The store has not said in time whether it kept the reply."""
        self._abandon(ticket.run, phases.LOSE, kind, ticket)

    def _fence(self, run: Run, event: Event) -> None:
        run.move(event)
        self._fenced += 1
        self._set_timer(run, self.now() + GIVE_UP_SLOT_S, self._write_off)
        if event is phases.WITHDRAW:
            run.task.cancel()
            # It may be cancelled before its first step: then nobody else frees the conversation.
            run.task.add_done_callback(lambda task: self._stopped(run))

    def _end(self, ticket: LocalTicket, ending: Reply | TurnError) -> None:
        """The end of a turn, whatever it came to."""
        run = ticket.run
        if run is None:
            del self._waiting[ticket]
        else:
            self._running -= 1
            run.tickets.remove(ticket)
        if ticket.timer is not None:
            ticket.timer.cancel()
        ticket.end(ending, self.now())
        self._ended[ticket.state] += 1
        if run is None:
            self.discipline.left(ticket)
        else:
            self.discipline.ended(ticket)

    # Timers.

    def _set_timer(self, of: Timed, when: float, action: Callable[[Timed], object]) -> None:
        """Its one timer, in place of any before."""
        if of.timer is not None:
            of.timer.cancel()
            of.timer = None
        if when < inf:
            of.timer = asyncio.get_running_loop().call_at(when, action, of)

    def _time_out(self, ticket: LocalTicket) -> None:
        run = ticket.run
        if not self.withdraw(ticket, TurnTimeout):
            self._set_timer(ticket, self.now() + COMMIT_GRACE_S, self._lose)
        elif run and not run.tickets and ticket.ran_s > (self.service_time.mean_s or 0.0):
            # It would have taken longer, which is news only where less was expected.
            self._measure(run.turn, ticket.ran_s)

    def _measure(self, turn: Turn, ran_s: float) -> None:
        self.service_time.observe(ran_s)
        self.discipline.measured(turn, ran_s)

    def _give_up(self, run: Run) -> None:
        """The agent was told to end with what it has, and goes on."""
        self._abandon(run, phases.WITHDRAW, TurnInterrupted)

    def _write_off(self, run: Run) -> None:
        if run.move(phases.WRITE_OFF):
            self._take_slots(run.turn.caller, -1)
            self.discipline.freed(run.turn)


def _failure(run: Run, cause: BaseException) -> TurnError:
    """What an agent's exception means for its turns."""
    if run.phase is phases.INTERRUPTED:
        return TurnInterrupted()
    if isinstance(cause, TurnError):
        return cause
    error = AgentFailed(outcome=phases.OUTCOME.get(run.phase))
    error.__cause__ = cause
    return error
