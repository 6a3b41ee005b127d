"""The one hard thing, once: run a turn to its end, whatever its caller and its agent do.

Three rules; everything below serves one of them.

1. The conversation belongs to the *agent*, not to the caller. A turn runs in a
   task of its own, and its conversation is free when that task has really
   ended: not when the caller left, not when the deadline passed, not when the
   task was told to stop. Between a withdrawal and that end the conversation is
   *fenced*.
2. A ticket is settled once, by whoever comes first, and at once. Waiters hang
   on the ticket and never on the task, for a task that is cancelled before its
   first step runs no line of its body, `finally` included.
3. `seal()` decides between a reply and a withdrawal in one tick. Before it, a
   withdrawn turn keeps nothing; after it, the turn will be answered.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable

from .base import Answer, Load, Reply, Turn
from .errors import (
    AgentFailed,
    Draining,
    Outcome,
    State,
    TurnError,
    TurnInterrupted,
    TurnTimeout,
    WaitExpired,
)
from .run import Run, merged
from .service_time import ServiceTime, Span
from .ticket import LocalTicket

GIVE_UP_SLOT_S = 1.0
"""A withdrawn agent may take this long to stop before its slot is written off to others."""

COMMIT_GRACE_S = 0.9
"""A sealed turn may outlive its deadline by this long, while its reply is being kept."""

BROKE_OFF = "The turn failed while its reply was being kept. The history tells whether it was."


class Turns:
    """The turns of one strategy, from acceptance to their end.

    The strategy calls `accept`, then `start` when the turn may run. It is
    called back, synchronously: `left(ticket)` when a waiting turn ends without
    having started, and `freed(conversation)` when an agent has stopped (its
    conversation is free) or its slot was written off.
    """

    def __init__(
        self,
        answer: Answer,
        turn_timeout_s: float | None,
        *,
        left: Callable[[LocalTicket], None] = lambda ticket: None,
        freed: Callable[[str], None] = lambda conversation: None,
        position: Callable[[LocalTicket], int | None] = lambda ticket: None,
        eta_s: Callable[[LocalTicket], float | None] = lambda ticket: None,
        eta_range_s: Callable[[LocalTicket], tuple[float, float] | None] = lambda ticket: None,
        joined_by: str = "\n\n",
    ) -> None:
        self._answer = answer
        self._turn_timeout_s = turn_timeout_s
        self._left = left
        self._freed = freed
        self.position = position
        self.eta_s = eta_s
        self._joined_by = joined_by
        self.eta_range_s = eta_range_s
        self.service_time = ServiceTime()
        self._waiting: OrderedDict[LocalTicket, None] = OrderedDict()
        self._holders: dict[str, Run] = {}
        self._written_off: set[Run] = set()
        self._ended: Counter[State] = Counter()
        self._accepted = 0
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
    def slots_taken(self) -> int:
        """Agents at work, less those that ignore being told to stop."""
        return len(self._holders) - len(self._written_off)

    def left(self, holder: Run) -> Span:
        """Until the holder's agent is likely to stop, told to or not."""
        return self.service_time.left(self.now() - holder.started_at)

    def expected_left_s(self, holder: Run) -> float:
        """The mean of `left`, in seconds."""
        return self.left(holder).mean_s

    def load(self) -> Load:
        oldest = next(iter(self._waiting), None)
        return Load(
            waiting=len(self._waiting),
            running=self._running,
            fenced=self._fenced,
            accepted=self._accepted,
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

    def admit(self, turn: Turn) -> None:
        """Refuse what no strategy may take: everything once draining, and what is too late."""
        if self._draining:
            raise self.refuse(Draining())
        if turn.deadline_s is not None and turn.deadline_s <= 0:
            raise self.refuse(WaitExpired())

    def accept(self, turn: Turn, max_wait_s: float | None = None) -> LocalTicket:
        """Give the turn a ticket; it waits, for `max_wait_s` or up to its deadline."""
        ticket = LocalTicket(turn, self, self.now())
        self._accepted += 1
        self._waiting[ticket] = None
        self._set_timer(ticket, self.expire, max_wait_s, turn.deadline_s)
        return ticket

    def start(self, *tickets: LocalTicket) -> asyncio.Task[None]:
        """Call the agent for waiting turns of one conversation that is free; its task.

        Several are merged into one turn, and all get its reply.
        """
        now = self.now()
        turn = tickets[0].turn if len(tickets) == 1 else merged(tickets, self._joined_by)
        run = Run(tickets, turn, now)
        assert run.turn.conversation not in self._holders
        self._holders[run.turn.conversation] = run
        self._running += len(tickets)
        for ticket in tickets:
            assert ticket.state is State.WAITING
            del self._waiting[ticket]
            ticket.state = State.RUNNING
            ticket.started_at = now
            ticket.run = run
            self._set_timer(ticket, self._time_out, self._turn_timeout_s, self.remaining_s(ticket))
        loop = asyncio.get_running_loop()
        run.task = loop.create_task(self._run(run), context=tickets[0].context)
        return run.task

    def remaining_s(self, ticket: LocalTicket) -> float | None:
        """Seconds to the turn's deadline, or None where it has none."""
        deadline_s = ticket.turn.deadline_s
        return None if deadline_s is None else deadline_s - (self.now() - ticket.accepted_at)

    def expire(self, ticket: LocalTicket) -> None:
        """End a waiting turn that would start too late."""
        self.withdraw(ticket, WaitExpired(retry_after_s=self.service_time.mean_s))

    def withdraw(self, ticket: LocalTicket, error: TurnError) -> bool:
        """End the turn with the error, if it has not ended and its reply is not being kept."""
        if ticket.state is State.WAITING:
            self._settle(ticket, error=error)
            self._left(ticket)
            return True
        run = ticket.run
        if run is None or run.sealed or ticket.state is not State.RUNNING:
            return False
        if run.left > 1:
            error.outcome = "unknown"  # Its message is with those of others, and they go on.
        elif not run.called:
            error.outcome = "not_started"
        self._settle(ticket, error=error)
        if not run.left:
            self._stop(run)
        return True

    def interrupt(self, run: Run) -> None:
        """Tell the agent to end now with the words it has. See `Attempt.interrupted`."""
        if run.sealed or run.interrupted or not run.left:
            return
        run.interrupted = True
        assert run.task is not None
        run.task.cancel()
        # It may be cancelled before its first step: then nobody else settles its tickets.
        run.task.add_done_callback(lambda task: self._stopped(run, error=TurnInterrupted()))
        self._set_run_timer(run, self._give_up)

    async def drain(self, timeout_s: float) -> None:
        """As `Strategy.drain`."""
        self._draining = True
        for ticket in list(self._waiting):
            self.withdraw(ticket, Draining())
        runs = [run for run in self._holders.values() if run.left]
        running = [ticket for run in runs for ticket in run.running]
        if not running:
            return
        # The turns and not their tasks: an agent that ignores its end is not waited for.
        await asyncio.wait([ticket.settled for ticket in running], timeout=timeout_s)
        for ticket in running:
            self.withdraw(ticket, Draining(outcome="rolled_back"))
        tasks = [run.task for run in runs if run.task is not None]
        await asyncio.wait(tasks, timeout=COMMIT_GRACE_S)
        for ticket in running:
            if ticket.state is State.RUNNING:
                self._lose(ticket, Draining(outcome="unknown"))

    # A run's end.

    async def _run(self, run: Run) -> None:
        run.called = True
        try:
            reply = await self._answer(run.turn, run)
            if not isinstance(reply, Reply):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"an answer must return a Reply, and not {type(reply).__name__}")
        except TurnError as known:
            self._stopped(run, error=known)
        except BaseException as cause:
            # All of them, SystemExit and KeyboardInterrupt too: re-raised in a
            # task they would end the event loop, and a CancelledError is the
            # agent's own unless the turn was withdrawn, and then it is settled.
            error = AgentFailed(BROKE_OFF, outcome="unknown") if run.sealed else AgentFailed()
            error.__cause__ = cause
            self._stopped(run, error=error)
        else:
            self._stopped(run, reply=reply)

    def _stop(self, run: Run) -> None:
        """Tell the agent of a run that is over; its conversation is fenced until it heeds."""
        assert run.task is not None
        run.task.cancel()
        # The task may be cancelled before its first step: then nobody else frees the conversation.
        run.task.add_done_callback(lambda task: self._stopped(run))
        self._set_run_timer(run, self._write_off)

    def _stopped(
        self, run: Run, reply: Reply | None = None, error: TurnError | None = None
    ) -> None:
        """The agent has really stopped. Called again by the done callback of a stopped run."""
        conversation = run.turn.conversation
        if self._holders.get(conversation) is not run:
            return
        del self._holders[conversation]
        self._written_off.discard(run)
        if run.timer is not None:
            run.timer.cancel()
        if run.left:
            self._end(run, reply, error)
        self._fenced -= 1
        self._freed(conversation)

    def _end(self, run: Run, reply: Reply | None, error: TurnError | None) -> None:
        """Settle what is left of a run that ended by itself, or because it was interrupted."""
        if error is not None and run.interrupted and not run.sealed:
            outcome: Outcome = "rolled_back" if run.called else "not_started"
            error = TurnInterrupted(outcome=outcome)
        if not run.interrupted:
            self.service_time.observe(self.now() - run.started_at)
        for ticket in run.running:
            self._settle(ticket, reply, error)

    def _settle(
        self, ticket: LocalTicket, reply: Reply | None = None, error: TurnError | None = None
    ) -> None:
        if ticket.run is None:
            del self._waiting[ticket]
        else:
            self._running -= 1
            ticket.run.left -= 1
            self._fenced += not ticket.run.left  # Until its agent has stopped, be it at once.
        if ticket.timer is not None:
            ticket.timer.cancel()
        ticket.kept_reply, ticket.error = reply, error
        ticket.state = _state_of(reply, error)
        ticket.ended_at = self.now()
        self._ended[ticket.state] += 1
        ticket.settled.set_result(None)

    # Timers.

    def _set_timer(
        self, ticket: LocalTicket, action: Callable[[LocalTicket], None], *delays_s: float | None
    ) -> None:
        """The ticket's one timer: the action after the shortest delay, in place of any before."""
        if ticket.timer is not None:
            ticket.timer.cancel()
        known = [delay_s for delay_s in delays_s if delay_s is not None]
        loop = asyncio.get_running_loop()
        ticket.timer = loop.call_later(min(known), action, ticket) if known else None

    def _time_out(self, ticket: LocalTicket) -> None:
        if self.withdraw(ticket, TurnTimeout()):
            # It would have taken longer, which is news only where less was expected.
            if ticket.ran_s > (self.service_time.mean_s or 0.0):
                self.service_time.observe(ticket.ran_s)
        else:
            lost = TurnTimeout(outcome="unknown")
            self._set_timer(ticket, lambda ticket: self._lose(ticket, lost), COMMIT_GRACE_S)

    def _lose(self, ticket: LocalTicket, error: TurnError) -> None:
        """The store has not said whether it kept the reply, and the caller has waited enough."""
        self._settle(ticket, error=error)
        if ticket.run is not None and not ticket.run.left:
            self._set_run_timer(ticket.run, self._write_off)

    def _set_run_timer(self, run: Run, action: Callable[[Run], None]) -> None:
        if run.timer is not None:
            run.timer.cancel()
        run.timer = asyncio.get_running_loop().call_later(GIVE_UP_SLOT_S, action, run)

    def _give_up(self, run: Run) -> None:
        """The agent was told to end with what it has, and goes on."""
        for ticket in run.running:
            self.withdraw(ticket, TurnInterrupted())

    def _write_off(self, run: Run) -> None:
        self._written_off.add(run)
        self._freed(run.turn.conversation)


def _state_of(reply: Reply | None, error: TurnError | None) -> State:
    if error is not None:
        return error.state
    return State.INTERRUPTED if reply is not None and reply.interrupted else State.ANSWERED
