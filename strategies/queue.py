"""Queue: a bounded line for each conversation, and a fair turn for every line.

Two levels. Within a conversation turns wait in order of arrival. Between
conversations the lines that could run stand in a ring, `_ready`, and the free
slots go round it (round-robin): a conversation that has had its turn goes to
the end, so a flooded one delays the others by one turn and not by its line.

On both levels the more urgent go first, and whoever waits grows more urgent
(see `ageing`). A conversation stands in the ring once for each urgency at which
one of its turns waits, since it could run and had such a turn; its best place
counts. So what joins or leaves its line changes that one place, and none must
be put between others. Where all priorities are equal this is a plain ring.

Under overload a long line serves nobody, for each turn starts when its client
has just given up. So a turn is accepted, and started, only while it can still
end in time by the service times measured so far. One exception keeps a wrong
estimate from refusing everything for ever: a turn that can start at once is
started, and measured.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from math import inf

from .ageing import Ageing
from .base import Answer, Limits, Load, Ticket, Turn
from .errors import ConversationQueueFull, ServerFull, State, WaitExpired
from .service_time import NONE, Span
from .ticket import LocalTicket
from .turns import Turns

AGEING_S = 10.0
"""A turn that waits gains one level of urgency in so many seconds, unless told otherwise."""


class Queue:
    """Turns wait in a line for each conversation; `max_running` slots go round the lines.

    Takes all of the limits, and honours priorities: a turn gains one level of
    urgency in every `ageing_s` seconds. Submitting, cancelling, expiring and
    starting cost the same however many wait; `position` is counted when asked for.
    """

    def __init__(
        self,
        answer: Answer,
        limits: Limits,
        *,
        ageing_s: float = AGEING_S,
        merges: Callable[[Turn], bool] = lambda turn: False,
        joined_by: str = "\n\n",
    ) -> None:
        """`merges` says which turns may be merged with their neighbours in the line."""
        if limits.max_running < 1:
            raise ValueError("max_running must be at least 1, or no turn would ever run")
        if not 0 < ageing_s < inf:
            raise ValueError("ageing_s must be more than 0 and finite, or some turns would starve")
        self.ageing_s = ageing_s
        self._limits = limits
        self._turns = Turns(
            answer,
            limits.turn_timeout_s,
            left=self._left,
            freed=self._freed,
            position=self._position,
            eta_s=self._ticket_eta_s,
            eta_range_s=self._ticket_eta_range_s,
            joined_by=joined_by,
        )
        self._merges = merges
        self._lines: dict[str, Ageing[LocalTicket]] = {}
        self._ready: Ageing[str] = Ageing(ageing_s)

    def submit(self, turn: Turn) -> Ticket:
        return self.enter(turn)

    def enter(self, turn: Turn, *, leaving: int = 0, frees: bool = False) -> LocalTicket:
        """As `submit`, for a strategy that is made of this one and acts when it returns.

        leaving  how many turns of its line are about to leave for it.
        frees    whether its conversation is about to be freed for it.
        """
        self._turns.admit(turn)
        conversation = turn.conversation
        if self._can_start(conversation):
            ticket = self._turns.accept(turn)
            self._turns.start(ticket)
            return ticket
        self._check_bounds(turn, leaving)
        if not frees:
            self._check_time(turn)
        ticket = self._turns.accept(turn, self._limits.max_wait_s)
        line = self._lines.setdefault(conversation, Ageing(self.ageing_s))
        line.add(ticket, turn.priority, ticket.accepted_at)
        if self._turns.holder(conversation) is None:
            self._ready.add(conversation, turn.priority, ticket.accepted_at)
        return ticket

    @property
    def turns(self) -> Turns:
        return self._turns

    def line(self, conversation: str) -> list[LocalTicket]:
        """Those that wait in it, the next one first."""
        return list(self._lines.get(conversation, ()))

    def load(self) -> Load:
        return self._turns.load()

    async def drain(self, timeout_s: float) -> None:
        await self._turns.drain(timeout_s)

    # May the turn wait?

    def _can_start(self, conversation: str) -> bool:
        # Were a slot free and a line ready, the line would have started.
        return self._turns.holder(conversation) is None and self._free_slots() > 0

    def _free_slots(self) -> int:
        return self._limits.max_running - self._turns.slots_taken

    def _check_bounds(self, turn: Turn, leaving: int) -> None:
        if len(self._line(turn)) - leaving >= self._limits.max_waiting_per_conversation:
            retry_after_s = self._eta_s(turn, max(self._place(turn) - 1, 1))
            raise self._turns.refuse(ConversationQueueFull(retry_after_s=retry_after_s))
        if self._turns.waiting - leaving >= self._limits.max_waiting:
            retry_after_s = self._eta_s(turn, self._place(turn))
            raise self._turns.refuse(ServerFull(retry_after_s=retry_after_s))

    def _check_time(self, turn: Turn) -> None:
        eta_s = self._eta_s(turn, self._place(turn))
        if eta_s is None:
            return
        max_wait_s = self._limits.max_wait_s
        too_long = max_wait_s is not None and eta_s > max_wait_s
        if turn.deadline_s is not None:
            # Twice the slack that a start needs, or those accepted last would wait in vain.
            service_time = self._turns.service_time
            ends_s = eta_s + (service_time.mean_s or 0.0) + 2 * service_time.slack_s
            too_long |= ends_s > turn.deadline_s
        if too_long:
            raise self._turns.refuse(WaitExpired(retry_after_s=eta_s))

    # Where does it stand?

    def _line(self, turn: Turn) -> Ageing[LocalTicket]:
        return self._lines.get(turn.conversation) or Ageing(self.ageing_s)

    def _place(self, turn: Turn) -> int:
        """Where the turn would stand in its line were it to come now."""
        return self._line(turn).before(turn.priority, self._turns.now()) + 1

    def _position(self, ticket: LocalTicket) -> int:
        """The place among the runs to come: those that are to be merged share one."""
        place, merging = 0, False
        for other in self._lines[ticket.turn.conversation]:
            place += not (merging and self._merges(other.turn))
            merging = self._merges(other.turn)
            if other is ticket:
                break
        return place

    def _ticket_eta_s(self, ticket: LocalTicket) -> float | None:
        return self._eta_s(ticket.turn, self._position(ticket))

    def _ticket_eta_range_s(self, ticket: LocalTicket) -> tuple[float, float] | None:
        wait = self._wait(ticket.turn, self._position(ticket))
        return None if wait is None else self._turns.service_time.range_s(wait)

    def _eta_s(self, turn: Turn, position: int) -> float | None:
        wait = self._wait(turn, position)
        return None if wait is None else wait.mean_s

    def _wait(self, turn: Turn, position: int) -> Span | None:
        """Until the turn starts from this place in its line.

        Those before it in its line run one by one; and in each round the
        conversation waits for a slot, behind those that stand before it in the
        ring. Who will come and be more urgent nobody knows, so they do not count.
        """
        service_time = self._turns.service_time
        if service_time.mean_s is None:
            return None
        holder = self._turns.holder(turn.conversation)
        first = NONE if holder is None else self._turns.left(holder)
        # A holder gives its slot to the ring when it ends; any other slot must be waited for.
        slots = self._others_ahead(turn, position) + (holder is None)
        return (
            first
            + service_time.one_by_one(position - 1)
            + service_time.slots_freed(slots, self._limits.max_running)
        )

    def _others_ahead(self, turn: Turn, position: int) -> int:
        """Turns of other lines that start before it: in each round one of each before it."""
        come_now = turn.priority, self._turns.now()
        stands = self._ready.place(turn.conversation) or come_now
        this_round = self._before_in_ring(turn, *min(stands, come_now, key=self._ready.rank))
        each_round = self._before_in_ring(turn, *come_now)
        others = self._turns.waiting - len(self._line(turn))
        return min(others, this_round + (position - 1) * each_round)

    def _before_in_ring(self, turn: Turn, urgency: int, since: float) -> int:
        rank, stands = self._ready.rank, self._ready.place(turn.conversation)
        counts_itself = stands is not None and rank(stands) <= rank((urgency, since))
        return self._ready.before(urgency, since) - counts_itself

    # Who runs next?

    def _start_ready(self) -> None:
        while self._ready and self._free_slots() > 0:
            conversation = self._ready.first()
            first = self._lines[conversation].first()
            if self._is_late(first):
                self._turns.expire(first)
                continue
            together = self._merged_with(first)
            self._leave_ring(conversation)
            for ticket in together:
                self._leave_line(ticket)
            self._turns.start(*together)

    def _is_late(self, ticket: LocalTicket) -> bool:
        """It cannot end in time any more."""
        service_time = self._turns.service_time
        needed_s = (service_time.mean_s or 0.0) + service_time.slack_s
        remaining_s = self._turns.remaining_s(ticket)
        return remaining_s is not None and remaining_s < needed_s

    def _merged_with(self, first: LocalTicket) -> list[LocalTicket]:
        """The first of a line, and those behind it with which it is merged."""
        if not self._merges(first.turn):
            return [first]
        line = self._lines[first.turn.conversation]
        together = list(takewhile(lambda ticket: self._merges(ticket.turn), line))
        for ticket in together:
            if self._is_late(ticket):
                self._turns.expire(ticket)
        return [ticket for ticket in together if ticket.state is State.WAITING]

    def _left(self, ticket: LocalTicket) -> None:
        """It waits no longer; where it was the last of its urgency, that place in the ring goes."""
        turn = ticket.turn
        self._leave_line(ticket)
        if turn.priority not in self._line(turn).urgencies:
            self._ready.remove(turn.conversation, turn.priority)

    def _leave_line(self, ticket: LocalTicket) -> None:
        line = self._lines[ticket.turn.conversation]
        line.remove(ticket, ticket.turn.priority)
        if not line:
            del self._lines[ticket.turn.conversation]

    def _leave_ring(self, conversation: str) -> None:
        for urgency in self._lines[conversation].urgencies:
            self._ready.remove(conversation, urgency)

    def _freed(self, conversation: str) -> None:
        if conversation in self._lines and self._turns.holder(conversation) is None:
            for urgency in self._lines[conversation].urgencies:
                self._ready.add(conversation, urgency, self._turns.now())
        self._start_ready()
