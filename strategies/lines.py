"""Lines: who waits, and who is next.

Within a conversation turns wait in order of arrival. Between conversations the lines
that could run stand in a ring, `_ready`, and the free slots go round it (round-robin):
a flooded conversation delays the others by one turn and not by its line.

On both levels the more urgent go first, and whoever waits grows more urgent (see
`ageing`). A conversation stands in the ring once for each urgency at which one of its
turns waits, since it could run and had such a turn. So what joins or leaves its line
changes that one place, and none must be put between others.
"""

from __future__ import annotations

from .ageing import Ageing
from .base import Turn
from .ticket import LocalTicket


class Lines:
    """A line of tickets for each conversation, and a ring of the lines that could run.

    Adding, removing and looking at the first cost the same however many wait.
    """

    __slots__ = ("_ageing_s", "_lines", "_ready")

    def __init__(self, ageing_s: float) -> None:
        self._ageing_s = ageing_s
        self._lines: dict[str, Ageing[LocalTicket]] = {}
        self._ready: Ageing[str] = Ageing(ageing_s)

    def __contains__(self, conversation: str) -> bool:
        return conversation in self._lines

    def of(self, conversation: str) -> Ageing[LocalTicket]:
        """Its line, to be looked at."""
        return self._lines.get(conversation) or Ageing(self._ageing_s)

    def first(self) -> LocalTicket | None:
        """The next one, of those whose conversation could run."""
        return self._lines[self._ready.first()].first() if self._ready else None

    def add(self, ticket: LocalTicket, *, could_run: bool) -> None:
        turn = ticket.turn
        line = self._lines.setdefault(turn.conversation, Ageing(self._ageing_s))
        line.add(ticket, turn.priority, ticket.accepted_at)
        if could_run:
            self._ready.add(turn.conversation, turn.priority, ticket.accepted_at)

    def remove(self, ticket: LocalTicket) -> None:
        """It waits no longer; where it was the last of its urgency, that place in the ring goes."""
        turn = ticket.turn
        self._leave(ticket)
        if turn.priority not in self.of(turn.conversation).urgencies:
            self._ready.remove(turn.conversation, turn.priority)

    def take(self, tickets: list[LocalTicket]) -> None:
        """They start, so their conversation cannot run any more."""
        conversation = tickets[0].turn.conversation
        for urgency in self._lines[conversation].urgencies:
            self._ready.remove(conversation, urgency)
        for ticket in tickets:
            self._leave(ticket)

    def free(self, conversation: str, now: float) -> None:
        """From now on the conversation could run."""
        for urgency in self.of(conversation).urgencies:
            self._ready.add(conversation, urgency, now)

    def _leave(self, ticket: LocalTicket) -> None:
        line = self._lines[ticket.turn.conversation]
        line.remove(ticket, ticket.turn.priority)
        if not line:
            del self._lines[ticket.turn.conversation]

    # Were it to come now.

    def position(self, turn: Turn, now: float) -> int:
        """Where the turn would stand in its line."""
        return self.of(turn.conversation).before(turn.priority, now) + 1

    def others_ahead(self, turn: Turn, position: int, now: float) -> int:
        """Turns of other lines that start before it: in each round one of each before it."""
        come_now = turn.priority, now
        stands = self._ready.standing(turn.conversation) or come_now
        this_round = self._before_in_ring(turn, *min(stands, come_now, key=self._ready.rank))
        return this_round + (position - 1) * self._before_in_ring(turn, *come_now)

    def _before_in_ring(self, turn: Turn, urgency: int, since: float) -> int:
        rank, stands = self._ready.rank, self._ready.standing(turn.conversation)
        counts_itself = stands is not None and rank(stands) <= rank((urgency, since))
        return self._ready.before(urgency, since) - counts_itself
