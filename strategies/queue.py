"""Queue: a bounded line for each conversation, and a fair turn for every line (see `lines`).

Under overload it sheds what is not worth a start any more (see `shedding`). Only a turn
that can start at once is always started, and measured, or a wrong estimate might refuse
everything for ever.

A policy says what happens to a turn whose conversation is busy:

wait       The turn waits. A turn calls this `queue` or `enqueue`.
reject     The turn is refused.
interrupt  The turn stops the running one and takes its place. What the agent has said is
           kept as the stopped turn's reply, if the agent and `answer` can do so.
rollback   The same, and nothing of the stopped turn is kept.
merge      The turn waits, and runs as one with its neighbours in the line whose policy is
           merge too. All of them get the same reply. What would be too long together runs
           one after the other, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import Literal, get_args

from .base import Answer, Limits, Load, Place, Ticket, Turn
from .engine import Discipline, Engine
from .errors import (
    CallerQueueFull,
    ConversationQueueFull,
    ServerFull,
    State,
    TurnError,
    TurnInterrupted,
    WaitExpired,
)
from .lines import Lines
from .service_time import NONE, Span
from .shedding import Shedding
from .ticket import LocalTicket

AGEING_S = 10.0

MAX_MERGED_BYTES = 262_144

Policy = Literal["wait", "reject", "interrupt", "rollback", "merge"]
Waiting = Literal["drop", "keep"]

CHOICES: dict[str, Policy] = {
    "queue": "wait", "enqueue": "wait", "reject": "reject", "interrupt": "interrupt",
    "rollback": "rollback", "merge": "merge",
}  # fmt: skip
"""What a turn may name, and the policy that it means."""


class Queue(Discipline):
    """Turns wait in a line for each conversation; `max_running` slots go round the lines.

    on_busy    the policy of a turn whose `strategy` names none.
    waiting    what becomes of those that wait when a newer turn interrupts: `drop` ends
               them as interrupted, `keep` leaves them their places, before the newest.
    joined_by  stands between messages that are merged, which keep their order.
    max_merged_bytes
               they are not longer together; a single message may be.
    ageing_s   a waiting turn gains one level of urgency in so many seconds, or it might starve.

    A reply that is just being kept is not interrupted, and an agent that does not stop
    keeps its conversation; the newest turn then waits. A merged turn may be cancelled or
    expire while the others run on. Its outcome is `unknown`, as its message is with theirs.

    Takes all of the limits. Submitting, cancelling, expiring and starting cost the same
    however many wait; a ticket's place is counted when asked for.
    """

    def __init__(
        self,
        answer: Answer,
        limits: Limits,
        *,
        on_busy: Policy = "wait",
        waiting: Waiting = "drop",
        joined_by: str = "\n\n",
        max_merged_bytes: int = MAX_MERGED_BYTES,
        ageing_s: float = AGEING_S,
    ) -> None:
        if limits.max_running < 1:
            raise ValueError("max_running must be at least 1, or no turn would ever run")
        one_of("on_busy", on_busy, get_args(Policy))
        one_of("waiting", waiting, get_args(Waiting))
        if type(joined_by) is not str:
            raise TypeError(f"joined_by must be a text, and not {joined_by!r}")
        if type(max_merged_bytes) is not int or max_merged_bytes < 1:
            raise ValueError(f"max_merged_bytes must be 1 or more, and not {max_merged_bytes!r}")
        if type(ageing_s) not in (int, float) or not 0 < ageing_s < inf:
            raise ValueError(f"ageing_s must be a number of seconds above 0, and not {ageing_s!r}")
        self.ageing_s = ageing_s
        self._on_busy: Policy = on_busy
        self._drops_waiting = waiting == "drop"
        self._joined_by = joined_by
        self._max_merged_bytes = max_merged_bytes
        self._limits = limits
        per_caller = limits.max_waiting_per_caller
        self._max_per_caller = inf if per_caller is None else per_caller
        self._engine = Engine(answer, limits.turn_timeout_s, self)
        self._lines = Lines(ageing_s, self._engine.slots)
        self.shedding = Shedding(self._lines, limits)

    def submit(self, turn: Turn) -> Ticket:
        policy = self._policy(turn)
        self._engine.admit(turn)
        busy = self._engine.holder(turn.conversation) is not None
        # Were a slot free and a line ready, the line would have started.
        if not busy and self._free_slots() > 0:
            ticket = self._engine.start_now(turn)
            self._lines.shares.moved(turn.caller)
            return ticket
        if policy in ("interrupt", "rollback"):
            return self._interrupt(turn, keeps_said=policy == "interrupt")
        if policy == "reject" and (busy or turn.conversation in self._lines):
            raise self._engine.refuse_busy(turn.conversation)
        self._check_bounds(turn)
        self._check_time(turn)
        return self._enter(turn)

    def load(self) -> Load:
        return self._engine.load()

    async def drain(self, timeout_s: float) -> None:
        await self._engine.drain(timeout_s)

    def _policy(self, turn: Turn) -> Policy:
        if turn.strategy is None:
            return self._on_busy
        one_of("the strategy of a turn", turn.strategy, CHOICES)
        return CHOICES[turn.strategy]

    def _merges(self, ticket: LocalTicket) -> bool:
        return ticket.turn.more is None and self._policy(ticket.turn) == "merge"

    def _interrupt(self, turn: Turn, *, keeps_said: bool) -> LocalTicket:
        """Let the turn wait, and make room for it. A refused one interrupts nothing."""
        before = list(self._lines.of(turn.conversation)) if self._drops_waiting else []
        self._check_bounds(turn, leaving=len(before))
        ticket = self._enter(turn)
        for other in before:
            self._engine.withdraw(other, TurnInterrupted)
        self._engine.interrupt(turn.conversation, keeps_said=keeps_said)
        return ticket

    def _enter(self, turn: Turn) -> LocalTicket:
        ticket = self._engine.accept(turn, self._max_wait_s(turn))
        self._lines.add(ticket, could_run=self._engine.holder(turn.conversation) is None)
        return ticket

    # May the turn wait?

    def _free_slots(self) -> int:
        return self._limits.max_running - self._engine.slots.total()

    def _check_bounds(self, turn: Turn, leaving: int = 0) -> None:
        """`leaving`: how many turns of its line are about to leave for it."""
        engine, in_line = self._engine, len(self._lines.of(turn.conversation))
        if in_line - leaving >= self._limits.max_waiting_per_conversation:
            shorter_s = self._eta_s(turn, leaving=1) or in_line * engine.service_s
            raise self._refuse(turn, ConversationQueueFull(retry_after_s=shorter_s))
        of_caller = self._lines.waiting(turn.caller)
        if of_caller - leaving >= self._max_per_caller:
            # While they start, each other caller starts as many, if it has them.
            among = of_caller * (1 + self._lines.shares.besides(turn.caller))
            in_s = self._starts_s(min(among, engine.waiting))
            raise self._refuse(turn, CallerQueueFull(retry_after_s=in_s))
        if engine.waiting - leaving >= self._limits.max_waiting:
            raise self._refuse(turn, ServerFull(retry_after_s=self._starts_s(engine.waiting)))

    def _starts_s(self, turns: int) -> float:
        """Until so many of those that wait have started."""
        return turns * self._engine.service_s / self._limits.max_running

    def _check_time(self, turn: Turn) -> None:
        most_s, now = self._max_wait_s(turn), self._engine.now()
        if self.shedding.is_retry(turn, now):
            most_s = min(most_s, self.shedding.retry_wait_s(turn, now))
        # The estimate is most of the cost of a submission, and nearly all may wait for any time.
        eta_s = None if most_s == inf else self._eta_s(turn)
        if eta_s is not None and eta_s > most_s:
            raise self._refuse(turn, WaitExpired(retry_after_s=eta_s))

    def _max_wait_s(self, turn: Turn) -> float:
        """Seconds that somebody has said it may wait; its own deadline comes first."""
        said = self._limits.max_wait_s
        return inf if said is None or turn.deadline_s not in (None, inf) else said

    def _refuse(self, turn: Turn, error: TurnError) -> TurnError:
        """Count a refusal, and know the turn when it comes again."""
        self.shedding.sent_away(turn, self._engine.now())
        return self._engine.refuse(error)

    # Where does it stand?

    def position(self, ticket: LocalTicket, /) -> int:
        """The place among the runs to come: those that are to be merged share one."""
        runs = self._runs(ticket.turn.conversation)
        return next(position for position, run in enumerate(runs, 1) if ticket in run)

    def _eta_s(self, turn: Turn, leaving: int = 0) -> float | None:
        """For a turn that would come now, or when so many of its line have left it."""
        position = self._lines.position(turn, self._engine.now()) - leaving
        wait = self._wait(turn, max(position, 1))
        return wait.mean_s if wait else None

    def _wait(self, turn: Turn, position: int) -> Span | None:
        """Until the turn starts from this place in its line, were no more urgent one to come.

        Those before it in its line run one by one; and in each round the
        conversation waits for a slot, behind those before it in the ring.
        """
        service_time = self._engine.service_time
        if service_time.mean_s is None:
            return None
        free = self._engine.until_free(turn.conversation)
        # A holder gives its slot to the ring when it ends; any other slot must be waited for.
        ahead = self._lines.others_ahead(turn, position, self._engine.now(), self._engine.waiting)
        slots = ahead + (free is None)
        in_line = service_time.one_by_one(position - 1)
        return (free or NONE) + in_line + service_time.slots_freed(slots, self._limits.max_running)

    # Who runs next?

    def _start_ready(self) -> None:
        while self._free_slots() > 0 and (first := self._lines.first()) is not None:
            if self.shedding.is_late(first, self._engine.now()):
                self._engine.expire(first)
                continue
            together = self._merged_with(first)
            if not together:  # All were late by now, though the first was not just before.
                continue
            self._lines.take(together)
            as_one = self._merged(together) if len(together) > 1 else None
            for ticket in together:
                self.shedding.started(ticket, self._engine.now())
            self._engine.start(*together, as_one=as_one)
            self._lines.shares.moved(first.turn.caller)

    def _merged_with(self, first: LocalTicket) -> list[LocalTicket]:
        """The first of a line, and those behind it with which it is merged."""
        if not self._merges(first):
            return [first]
        together = next(self._runs(first.turn.conversation))
        for ticket in together:
            if self.shedding.is_late(ticket, self._engine.now()):
                self._engine.expire(ticket)
        return [ticket for ticket in together if ticket.state is State.WAITING]

    def _runs(self, conversation: str) -> Iterator[list[LocalTicket]]:
        """The line as it is to run: neighbours that merge are together, as far as they fit."""
        run: list[LocalTicket] = []
        room, between = 0, _bytes(self._joined_by)
        for ticket in self._lines.of(conversation):
            size = _bytes(ticket.turn.message) + between
            if run and (size > room or not self._merges(run[-1]) or not self._merges(ticket)):
                yield run
                run = []
            if not run:
                room = self._max_merged_bytes + between
            run.append(ticket)
            room -= size
        if run:
            yield run

    def _merged(self, tickets: Iterable[LocalTicket]) -> Turn:
        """The turn that stands for these: their messages in order, the first one's id."""
        turns = tuple(ticket.turn for ticket in tickets)
        return Turn(
            id=turns[0].id,
            conversation=turns[0].conversation,
            message=self._joined_by.join(turn.message for turn in turns),
            priority=min(turn.priority for turn in turns),
            merged=turns,
            caller=turns[0].caller,
        )

    # As a Discipline.

    def left(self, ticket: LocalTicket, /) -> None:
        self._lines.remove(ticket)
        self.shedding.ended(ticket, self._engine.now())
        self._forget_if_idle()

    def ended(self, ticket: LocalTicket, /) -> None:
        self.shedding.ended(ticket, self._engine.now())

    def measured(self, turn: Turn, ran_s: float, /) -> None:
        self.shedding.measured(turn, ran_s)

    def freed(self, turn: Turn, /) -> None:
        self._lines.shares.moved(turn.caller)
        if turn.conversation in self._lines and self._engine.holder(turn.conversation) is None:
            self._lines.free(turn.conversation, self._engine.now())
        self._start_ready()
        self._forget_if_idle()

    def _forget_if_idle(self) -> None:
        if self._engine.idle:
            self.shedding.retries.clear()

    def place(self, ticket: LocalTicket, /) -> Place:
        position = self.position(ticket)
        wait = self._wait(ticket.turn, position)
        range_s = self._engine.service_time.range_s(wait) if wait else None
        return Place(position, wait.mean_s if wait else None, range_s)


def _bytes(text: str) -> int:
    """Bytes that the text has at most; it is asked for often, so long texts are not encoded."""
    return len(text) if text.isascii() else 4 * len(text)


def one_of(option: str, value: object, known: Iterable[str]) -> None:
    """Raise ValueError, with the known names, for one that is not known."""
    known = tuple(known)
    if value not in known:
        raise ValueError(f"{option} must be one of {', '.join(known)}, and not {value!r}")
