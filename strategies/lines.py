"""Lines: who waits, and who is next.

Within a conversation turns wait in order of arrival. The free slots go round the callers
(see `shares`), and a caller's go round its conversations: its lines that could run stand
in a ring (round-robin). So a flooded conversation delays the others by one turn and not by
its line, and one caller's flood delays the others by the wait for a slot.

In a line and in a ring the more urgent go first, and whoever waits grows more urgent (see
`ageing`). A conversation stands in the ring once for each urgency at which one of its
turns waits, since it could run and had such a turn. So what joins or leaves its line
changes that one place, and none must be put between others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from .ageing import Ageing
from .base import Turn
from .shares import Shares
from .ticket import LocalTicket


@dataclass(slots=True)
class Moves:
    """How a line moves, or all lines of a caller: runs are counted, and not seconds.

    runs         how many were taken.
    stands_from  how many had been when it was last empty.
    newest_from  how many had been when the last turn came, at `newest_at`.
    """

    runs: int = 0
    stands_from: int = 0
    newest_from: int = 0
    newest_at: float = -inf

    def came(self, now: float) -> None:
        """Another turn waits."""
        self.newest_from, self.newest_at = self.runs, now

    def left(self, accepted_at: float) -> None:
        """One waits no longer; if it was the last that came, nobody is known to have come late."""
        if accepted_at == self.newest_at:
            self.newest_from, self.newest_at = self.stands_from, -inf

    @property
    def stands(self) -> int:
        """Runs that were taken while turns have waited without a break."""
        return self.runs - self.stands_from

    def gives_way(self, seen: int, *, standing: int, presumed: int) -> bool:
        """It stands, and a turn that has seen so many runs has let enough others pass.

        One that came later has not, so that somebody gains by it.
        """
        newest = self.runs - self.newest_from
        return self.stands >= standing and newest < presumed <= seen


class Line(Ageing[LocalTicket]):
    """The turns that wait in one conversation.

    caller     whose it is: who asked for the first of them, should several callers share it.
    moves      how it moves.
    busy_from  runs that were taken from its caller's lines when its conversation became busy;
               None while it could run.
    missed     runs that were taken from them while it was busy, before that.
    """

    __slots__ = ("busy_from", "caller", "missed", "moves")

    def __init__(self, ageing_s: float, caller: str) -> None:
        super().__init__(ageing_s)
        self.caller = caller
        self.moves = Moves()
        self.busy_from: int | None = None
        self.missed = 0

    def met(self, runs: int) -> int:
        """Of that many runs, those that were taken while it could have run itself."""
        return (runs if self.busy_from is None else self.busy_from) - self.missed


@dataclass(slots=True)
class Caller:
    """The turns of one caller that wait.

    waiting  how many they are.
    moves    how its ring moves: its lines that could run, as long as there are any.
    """

    waiting: int = 0
    moves: Moves = field(default_factory=Moves)


class Lines:
    """A line of tickets for each conversation, and for each caller a ring of those that could run.

    slots  how many each caller has; `shares.moved` is to be told of each change.

    Adding, removing and looking at the first cost the same however many wait.
    """

    __slots__ = ("_ageing_s", "_callers", "_lines", "_rings", "shares")

    def __init__(self, ageing_s: float, slots: Mapping[str, int]) -> None:
        self.shares = Shares(slots)
        self._ageing_s = ageing_s
        self._lines: dict[str, Line] = {}
        self._rings: dict[str, Ageing[str]] = {}
        self._callers: dict[str, Caller] = {}

    def __contains__(self, conversation: str) -> bool:
        return conversation in self._lines

    def of(self, conversation: str) -> Ageing[LocalTicket]:
        """Its line, to be looked at."""
        return self._lines.get(conversation) or Ageing(self._ageing_s)

    def waiting(self, caller: str) -> int:
        """How many of its turns wait."""
        return self._callers[caller].waiting if caller in self._callers else 0

    def first(self) -> LocalTicket | None:
        """The next one, of those whose conversation could run."""
        if not self.shares:
            return None
        ring = self._rings[self.shares.first()]
        return self._lines[ring.first()].first()

    def add(self, ticket: LocalTicket, *, could_run: bool) -> None:
        turn = ticket.turn
        line = self._lines.get(turn.conversation)
        if line is None:
            line = self._lines[turn.conversation] = Line(self._ageing_s, turn.caller)
            line.busy_from = None if could_run else self._runs(turn.caller)
        line.add(ticket, turn.priority, ticket.accepted_at)
        caller = self._callers.setdefault(line.caller, Caller())
        caller.waiting += 1
        ticket.runs_before = line.moves.runs, line.met(caller.moves.runs)
        if turn.deadline_s != inf:  # For one that nobody waits for, nobody need give way.
            line.moves.came(ticket.accepted_at)
            caller.moves.came(ticket.accepted_at)
        if could_run:
            self._join(line.caller, turn.conversation, turn.priority, ticket.accepted_at)

    def moves(self, turn: Turn) -> tuple[Moves, Moves]:
        """How its line moves, and its caller's ring: nobody gives way to another caller."""
        line = self._lines.get(turn.conversation)
        caller = line.caller if line else turn.caller
        ring = self._callers[caller].moves if caller in self._rings else Moves()
        return line.moves if line else Moves(), ring

    def seen(self, ticket: LocalTicket) -> tuple[int, int]:
        """Runs since it came: of its line, and of its caller's while its own could have run."""
        line = self._lines[ticket.turn.conversation]
        own, met = ticket.runs_before
        return line.moves.runs - own, line.met(self._runs(line.caller)) - met

    def _runs(self, caller: str) -> int:
        return self._callers[caller].moves.runs if caller in self._callers else 0

    def remove(self, ticket: LocalTicket) -> None:
        """It waits no longer; where it was the last of its urgency, that place in the ring goes."""
        turn = ticket.turn
        line = self._lines[turn.conversation]
        line.moves.left(ticket.accepted_at)
        caller = line.caller
        self._callers[caller].moves.left(ticket.accepted_at)
        self._leave(ticket)
        if turn.priority not in self.of(turn.conversation).urgencies:
            self._quit(caller, turn.conversation, turn.priority)

    def take(self, tickets: list[LocalTicket]) -> None:
        """They start, so their conversation cannot run any more."""
        conversation = tickets[0].turn.conversation
        line = self._lines[conversation]
        self._quit(line.caller, conversation, *line.urgencies)
        line.moves.runs += 1
        self._callers[line.caller].moves.runs += 1
        line.busy_from = self._runs(line.caller)
        for ticket in tickets:
            self._leave(ticket)

    def free(self, conversation: str, now: float) -> None:
        """From now on the conversation could run."""
        line = self._lines[conversation]
        if line.busy_from is not None:
            line.missed += self._runs(line.caller) - line.busy_from
            line.busy_from = None
        for urgency in line.urgencies:
            self._join(line.caller, conversation, urgency, now)

    def _join(self, caller: str, conversation: str, urgency: int, since: float) -> None:
        """The conversation takes this place in its caller's ring, if it has none there."""
        if caller not in self._rings:
            moves = self._callers[caller].moves
            moves.stands_from = moves.runs
            self._rings[caller] = Ageing(self._ageing_s)
            self.shares.add(caller)
        self._rings[caller].add(conversation, urgency, since)

    def _quit(self, caller: str, conversation: str, *urgencies: int) -> None:
        ring = self._rings.get(caller)
        if ring is None:
            return
        for urgency in urgencies:
            ring.remove(conversation, urgency)
        if not ring:
            del self._rings[caller]
            self.shares.remove(caller)

    def _leave(self, ticket: LocalTicket) -> None:
        line = self._lines[ticket.turn.conversation]
        line.remove(ticket, ticket.turn.priority)
        caller = self._callers[line.caller]
        caller.waiting -= 1
        if not caller.waiting:
            del self._callers[line.caller]
        if not line:
            del self._lines[ticket.turn.conversation]

    # Were it to come now.

    def position(self, turn: Turn, now: float) -> int:
        """Where the turn would stand in its line."""
        return self.of(turn.conversation).before(turn.priority, now) + 1

    def others_ahead(self, turn: Turn, position: int, now: float, waiting: int) -> int:
        """About how many turns of other lines start before it, of so many that wait in all.

        In each round of its caller's ring one of each line before its own; and between two
        turns of its caller one of each other caller, while they have any.
        """
        in_line = len(self.of(turn.conversation))
        own = min(self._ahead_in_ring(turn, position, now), self.waiting(turn.caller) - in_line)
        rounds = max(own, 0) + position - 1
        foreign = self.shares.ahead_of(turn.caller) + rounds * self.shares.besides(turn.caller)
        return max(own, 0) + min(foreign, waiting - self.waiting(turn.caller))

    def _ahead_in_ring(self, turn: Turn, position: int, now: float) -> int:
        ring = self._rings.get(turn.caller)
        if ring is None:
            return 0
        come_now = turn.priority, now
        stands = ring.standing(turn.conversation) or come_now
        this_round = _before(ring, turn, *min(stands, come_now, key=ring.rank))
        return this_round + (position - 1) * _before(ring, turn, *come_now)


def _before(ring: Ageing[str], turn: Turn, urgency: int, since: float) -> int:
    """Lines before that place, without the turn's own."""
    stands = ring.standing(turn.conversation)
    counts_itself = stands is not None and ring.rank(stands) <= ring.rank((urgency, since))
    return ring.before(urgency, since) - counts_itself
