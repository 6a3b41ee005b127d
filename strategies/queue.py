"""Queue: a bounded line for each conversation, and a fair turn for every line.

Two levels. Within a conversation turns wait in order of arrival. Between
conversations the lines that could run stand in a ring, `_ready`, and the free
slots go round it (round-robin): a conversation that has had its turn goes to
the end, so a flooded one delays the others by one turn and not by its line.

Under overload a long line serves nobody, for each turn starts when its client
has just given up. So a turn is accepted, and started, only while it can still
end in time by the service times measured so far. One exception keeps a wrong
estimate from refusing everything for ever: a turn that can start at once is
started, and measured.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import takewhile

from .base import Answer, Limits, Load, Ticket, Turn
from .errors import ConversationQueueFull, ServerFull, State, WaitExpired
from .ticket import LocalTicket
from .turns import Turns


class Queue:
    """Turns wait in a line for each conversation; `max_running` slots go round the lines.

    Takes all of the limits. Submitting, cancelling, expiring and starting cost
    the same however many wait; `position` is counted when asked for.
    """

    def __init__(
        self,
        answer: Answer,
        limits: Limits,
        *,
        merges: Callable[[Turn], bool] = lambda turn: False,
        joined_by: str = "\n\n",
    ) -> None:
        """`merges` says which turns may be merged with their neighbours in the line."""
        if limits.max_running < 1:
            raise ValueError("max_running must be at least 1, or no turn would ever run")
        self._limits = limits
        self._turns = Turns(
            answer,
            limits.turn_timeout_s,
            left=self._left,
            freed=self._freed,
            position=self._position,
            eta_s=lambda ticket: self._eta_s(ticket.turn.conversation, self._position(ticket)),
            joined_by=joined_by,
        )
        self._merges = merges
        # OrderedDict: taking the first of a dict walks over the places of those that left.
        self._lines: dict[str, OrderedDict[LocalTicket, None]] = {}
        self._ready: OrderedDict[str, None] = OrderedDict()

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
        self._lines.setdefault(conversation, OrderedDict())[ticket] = None
        if self._turns.holder(conversation) is None:
            self._ready[conversation] = None
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
        line = self._lines.get(turn.conversation, ())
        if len(line) - leaving >= self._limits.max_waiting_per_conversation:
            retry_after_s = self._eta_s(turn.conversation, max(len(line), 1))
            raise self._turns.refuse(ConversationQueueFull(retry_after_s=retry_after_s))
        if self._turns.waiting - leaving >= self._limits.max_waiting:
            retry_after_s = self._eta_s(turn.conversation, len(line) + 1)
            raise self._turns.refuse(ServerFull(retry_after_s=retry_after_s))

    def _check_time(self, turn: Turn) -> None:
        eta_s = self._eta_s(turn.conversation, len(self._lines.get(turn.conversation, ())) + 1)
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

    def _position(self, ticket: LocalTicket) -> int:
        """The place among the runs to come: those that are to be merged share one."""
        place, merging = 0, False
        for other in self._lines[ticket.turn.conversation]:
            place += not (merging and self._merges(other.turn))
            merging = self._merges(other.turn)
            if other is ticket:
                break
        return place

    def _eta_s(self, conversation: str, position: int) -> float | None:
        """Expected seconds until the turn at `position` of the conversation starts.

        The later of two bounds: its own line is served one by one; and in
        `position` rounds every other line is served at most `position` times,
        all over `max_running` slots.
        """
        mean_s = self._turns.service_time.mean_s
        if mean_s is None:
            return None
        holder = self._turns.holder(conversation)
        own_s = (position - 1) * mean_s
        if holder is not None:
            own_s += self._turns.expected_left_s(holder)
        own_line = len(self._lines.get(conversation, ()))
        other_lines = len(self._lines) - (conversation in self._lines)
        others = min(self._turns.waiting - own_line, position * other_lines)
        ahead = others + position - max(self._free_slots(), 0)
        return max(own_s, ahead * mean_s / self._limits.max_running)

    # Who runs next?

    def _start_ready(self) -> None:
        while self._ready and self._free_slots() > 0:
            conversation, _ = self._ready.popitem(last=False)
            first = self._first_in_time(conversation)
            if first is not None:
                together = self._merged_with(first)
                for ticket in together:
                    self._leave_line(ticket)
                self._turns.start(*together)

    def _first_in_time(self, conversation: str) -> LocalTicket | None:
        """The first of the line that can still end in time; those before it expire."""
        while line := self._lines.get(conversation):
            ticket = next(iter(line))
            if self._is_in_time(ticket):
                return ticket
            self._turns.expire(ticket)
        return None

    def _is_in_time(self, ticket: LocalTicket) -> bool:
        service_time = self._turns.service_time
        needed_s = (service_time.mean_s or 0.0) + service_time.slack_s
        remaining_s = self._turns.remaining_s(ticket)
        return remaining_s is None or remaining_s >= needed_s

    def _merged_with(self, first: LocalTicket) -> list[LocalTicket]:
        """The first of a line, and those behind it with which it is merged."""
        if not self._merges(first.turn):
            return [first]
        line = self._lines[first.turn.conversation]
        together = list(takewhile(lambda ticket: self._merges(ticket.turn), line))
        for ticket in together:
            if not self._is_in_time(ticket):
                self._turns.expire(ticket)
        return [ticket for ticket in together if ticket.state is State.WAITING]

    def _left(self, ticket: LocalTicket) -> None:
        conversation = ticket.turn.conversation
        self._leave_line(ticket)
        if conversation not in self._lines:
            self._ready.pop(conversation, None)

    def _leave_line(self, ticket: LocalTicket) -> None:
        line = self._lines[ticket.turn.conversation]
        del line[ticket]
        if not line:
            del self._lines[ticket.turn.conversation]

    def _freed(self, conversation: str) -> None:
        if conversation in self._lines and self._turns.holder(conversation) is None:
            self._ready[conversation] = None
        self._start_ready()
