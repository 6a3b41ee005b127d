"""Shedding: which turns are not worth a start, under overload.

A line that is longer than its clients are patient serves nobody, for each turn starts when
its client is just about to give up. So the first of a line starts only if an answer is still
worth the agent's work, compared with a turn that has just come:

- A deadline was told: by the answers that a second of work brings. The agent is stopped at
  the deadline, so a late start costs no more than what is left; with long and short turns
  mixed, that is often still the best use of the agent.
- The caller's clients leave: by the chance that the answer finds its client, from the
  patience of those who left (see `patience`).
- Neither: nobody knows. A burst is let through, however long it waits. But a line from which
  STANDING turns were taken while it never emptied is a standing queue (as CoDel calls it:
  Nichols and Jacobson, ACM Queue 10, 2012). There a turn gives way that has seen PRESUMED
  others start, if one that came later has not. Turns are counted and not seconds, so that
  one long turn, or a caller with short ones, makes nobody's wait look long.

At submission nobody is sent away for that, but one that was sent away before and comes
again: it waits only if it is expected to start in half of its time. Those who come for the
first time, who can still be served in time, then find a shorter line.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf, sqrt

from .base import Limits, Turn
from .errors import State
from .lines import Lines
from .patience import MEMORY_S, Patience
from .service_time import ServiceTime
from .ticket import LocalTicket

WORTH = 0.9
"""A start is worth so much of a fresh turn's. Between .8 and .95 little changes; at 1 the
noise of the measurement decides."""

UNCONTESTED = 0.5
"""The same where no turn waits that would be worth more, so that it takes nobody's place."""

MARGIN = 1 / 32
"""Of a mean service time: where all turns take the same time, one that would end just at its
deadline ends just too late."""

STANDING = 20
"""Turns that were taken from a line which never emptied: then it is no burst any more."""

PRESUMED = 6
"""Turns that clients of whom nothing is known are taken to let pass, then."""

RETRY = 0.5
"""A retry waits if it starts in this share of the time that its client can wait."""

REMEMBERED = 1_000
"""Messages that were sent away and may come again; and callers whose patience is known."""


class Shedding:
    """What is known of service times, of patience and of retries, and what follows from it."""

    def __init__(self, service_time: ServiceTime, lines: Lines, limits: Limits) -> None:
        self.retries = Retries()
        self._service_time = service_time
        self._lines = lines
        self._limits = limits
        self._patience: OrderedDict[int, Patience] = OrderedDict()

    def is_late(self, ticket: LocalTicket, now: float) -> bool:
        """The first of a line, whose turn it is, is not worth the start any more."""
        mean_s, deadline_s = self._service_time.mean_s, ticket.turn.deadline_s
        if mean_s is None:
            return ticket.deadline <= now
        if deadline_s is not None:
            left_s = max(ticket.deadline - now - MARGIN * mean_s, 0.0)
            brings, fresh = self._answers_per_s(left_s), self._answers_per_s(deadline_s)
            return not brings or brings < fresh * self._worth()
        if self.patience(ticket.turn).known(now):
            return self._finds_nobody(ticket, now)
        return self._limits.max_wait_s is None and self._gives_way(ticket)

    def retry_wait_s(self, turn: Turn, now: float) -> float:
        """How long a turn that was sent away before may be expected to wait."""
        mean_s = self._service_time.mean_s or 0.0
        # Next in line is soon enough for anybody, or it might be sent away for ever.
        return max(RETRY * (self._patience_s(turn, now) - mean_s), mean_s)

    def started(self, ticket: LocalTicket, now: float) -> None:
        """A turn that has waited starts."""
        if ticket.turn.deadline_s is None:
            self.patience(ticket.turn).observe(ticket.waited_s, now, left=False)

    def ended(self, ticket: LocalTicket, now: float) -> None:
        """A turn has ended: waiting, or running, or answered."""
        if ticket.turn.deadline_s is None and ticket.started_at is None:
            left = ticket.state is State.CANCELLED
            self.patience(ticket.turn).observe(ticket.waited_s, now, left=left)
        if ticket.state is State.ANSWERED:
            self.retries.forget(ticket.turn)
        elif ticket.started_at is None or ticket.state is State.EXPIRED:
            self.retries.remember(ticket.turn, now)

    def patience(self, turn: Turn) -> Patience:
        """That of its caller's clients; nobody's departures say anything about another's."""
        caller = hash(turn.caller)
        known = self._patience.get(caller)
        if known is None:
            known = self._patience[caller] = Patience()
            if len(self._patience) > REMEMBERED:
                self._patience.popitem(last=False)
        self._patience.move_to_end(caller)
        return known

    def _answers_per_s(self, seconds: float) -> float:
        """Of the agent's work, by turns that are stopped after so long."""
        work_s = self._service_time.work_s(seconds)
        return self._service_time.within(seconds) / work_s if work_s else inf

    def _worth(self) -> float:
        """WORTH, less the standard error of a share of so few measurements (1/2 at its worst)."""
        return WORTH * (1 - 0.5 / sqrt(len(self._service_time)))

    def _finds_nobody(self, ticket: LocalTicket, now: float) -> bool:
        """Its client is likely to have left by the answer; the last one's that waits is not."""
        patience, service_time = self.patience(ticket.turn), self._service_time
        fresh = patience.finds_client(0.0, service_time)
        found = patience.finds_client(now - ticket.accepted_at, service_time)
        enough = fresh * self._worth()
        if found >= enough:
            return False
        own, ring = self._lines.moves(ticket.turn)
        newest_at = ring.newest_at if ring.stands else own.newest_at
        is_worth_more = patience.finds_client(now - newest_at, service_time) >= enough
        return is_worth_more or found < fresh * UNCONTESTED

    def _gives_way(self, ticket: LocalTicket) -> bool:
        """In a standing queue, to one that came later."""
        slots = (1, self._limits.max_running)
        return any(
            moves.gives_way(before, standing=STANDING * count, presumed=PRESUMED * count)
            for moves, before, count in zip(
                self._lines.moves(ticket.turn), ticket.runs_before, slots, strict=True
            )
        )

    def _patience_s(self, turn: Turn, now: float) -> float:
        """How long its client is expected to wait; inf where nothing tells."""
        if turn.deadline_s is not None:
            return turn.deadline_s
        if self.patience(turn).known(now):
            return self.patience(turn).median_s()
        if self._limits.max_wait_s is not None:
            return self._limits.max_wait_s
        own, ring = self._lines.moves(turn)
        stands = own.stands >= STANDING or ring.stands >= STANDING * self._limits.max_running
        return PRESUMED * (self._service_time.mean_s or 0.0) if stands else inf


class Retries:
    """The messages that were sent away and may come again, the last REMEMBERED of them.

    A message comes again if the same words come in the same conversation, within MEMORY_S. What
    is kept of it is a hash; were two to have the same, one might have to come twice.
    """

    __slots__ = ("_sent_away",)

    def __init__(self) -> None:
        self._sent_away: OrderedDict[int, float] = OrderedDict()

    def knows(self, turn: Turn, now: float) -> bool:
        return bool(self._sent_away) and self._sent_away.get(_words(turn), -inf) > now - MEMORY_S

    def remember(self, turn: Turn, now: float) -> None:
        """It was sent away. It is known for MEMORY_S from the first time on, and then new again."""
        if self.knows(turn, now):
            return
        words = _words(turn)
        self._sent_away[words] = now
        self._sent_away.move_to_end(words)
        if len(self._sent_away) > REMEMBERED:
            self._sent_away.popitem(last=False)

    def forget(self, turn: Turn) -> None:
        """It was answered; who says the same again says something new."""
        if self._sent_away:
            self._sent_away.pop(_words(turn), None)

    def clear(self) -> None:
        self._sent_away.clear()


def _words(turn: Turn) -> int:
    return hash((turn.conversation, turn.message))
