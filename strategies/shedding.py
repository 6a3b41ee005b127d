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
from .patience import Patience
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

PERSISTENT = 30.0
"""Mean service times after which a message counts as new: then it has been refused for long."""

REMEMBERED = 1_000
"""Messages that were sent away and may come again; and callers of whom something is known."""


class Known:
    """What is known of one caller's turns. Nothing of it is presumed of another's."""

    __slots__ = ("patience", "service_time")

    def __init__(self) -> None:
        self.patience = Patience()
        self.service_time = ServiceTime()


class Shedding:
    """What is known of service times, of patience and of retries, and what follows from it."""

    def __init__(self, lines: Lines, limits: Limits) -> None:
        self.retries = Retries()
        self._lines = lines
        self._limits = limits
        self._known: OrderedDict[int, Known] = OrderedDict()

    def is_late(self, ticket: LocalTicket, now: float) -> bool:
        """The first of a line, whose turn it is, is not worth the start any more."""
        known, deadline_s = self.known(ticket.turn), ticket.turn.deadline_s
        mean_s = known.service_time.mean_s
        if mean_s is None:
            return ticket.deadline <= now
        if deadline_s is not None:
            left_s = max(ticket.deadline - now - MARGIN * mean_s, 0.0)
            brings, fresh = (answers_per_s(known, seconds) for seconds in (left_s, deadline_s))
            return not brings or brings < fresh * least_worth(known)
        if known.patience.known(now):
            return self._finds_nobody(ticket, known, now)
        return self._limits.max_wait_s is None and self._gives_way(ticket)

    def is_retry(self, turn: Turn, now: float) -> bool:
        """It was sent away before, and not long ago."""
        mean_s = self.known(turn).service_time.mean_s or 0.0
        return self.retries.knows(turn, now - PERSISTENT * mean_s)

    def retry_wait_s(self, turn: Turn, now: float) -> float:
        """How long such a turn may be expected to wait."""
        mean_s = self.known(turn).service_time.mean_s or 0.0
        # Next in line is soon enough for anybody.
        return max(RETRY * (self._patience_s(turn, now) - mean_s), mean_s)

    def measured(self, turn: Turn, ran_s: float) -> None:
        self.known(turn).service_time.observe(ran_s)

    def started(self, ticket: LocalTicket, now: float) -> None:
        """A turn that has waited starts."""
        if ticket.turn.deadline_s is None:
            self.known(ticket.turn).patience.observe(ticket.waited_s, now, left=False)

    def ended(self, ticket: LocalTicket, now: float) -> None:
        """A turn has ended: waiting, or running, or answered."""
        if ticket.turn.deadline_s is None and ticket.started_at is None:
            left = ticket.state is State.CANCELLED
            self.known(ticket.turn).patience.observe(ticket.waited_s, now, left=left)
        if ticket.state is State.ANSWERED:
            self.retries.forget(ticket.turn)
        elif ticket.started_at is None or ticket.state is State.EXPIRED:
            self.sent_away(ticket.turn, now)

    def sent_away(self, turn: Turn, now: float) -> None:
        """It was not answered, and may come again."""
        if not self.is_retry(turn, now):
            self.retries.remember(turn, now)

    def known(self, turn: Turn) -> Known:
        """Of its caller; of those that nothing was heard of for longest, nothing is."""
        caller = hash(turn.caller)
        known = self._known.get(caller)
        if known is None:
            known = self._known[caller] = Known()
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(caller)
        return known

    def _finds_nobody(self, ticket: LocalTicket, known: Known, now: float) -> bool:
        """Its client is likely to have left by the answer; the last one's that waits is not."""
        patience, service_time = known.patience, known.service_time
        fresh = patience.finds_client(0.0, service_time)
        found = patience.finds_client(now - ticket.accepted_at, service_time)
        enough = fresh * least_worth(known)
        if found >= enough:
            return False
        own, ring = self._lines.moves(ticket.turn)
        # At least itself: one that came later may have left again.
        newest_at = max(ring.newest_at if ring.stands else own.newest_at, ticket.accepted_at)
        is_worth_more = patience.finds_client(now - newest_at, service_time) >= enough
        return is_worth_more or found < fresh * UNCONTESTED

    def _gives_way(self, ticket: LocalTicket) -> bool:
        """In a standing queue, to one that came later."""
        slots = (1, self._limits.max_running)
        moves, seen = self._lines.moves(ticket.turn), self._lines.seen(ticket)
        return any(
            each.gives_way(runs, standing=STANDING * count, presumed=PRESUMED * count)
            for each, runs, count in zip(moves, seen, slots, strict=True)
        )

    def _patience_s(self, turn: Turn, now: float) -> float:
        """How long its client is expected to wait; inf where nothing tells."""
        if turn.deadline_s is not None:
            return turn.deadline_s
        known = self.known(turn)
        if known.patience.known(now):
            return known.patience.median_s()
        if self._limits.max_wait_s is not None:
            return self._limits.max_wait_s
        own, ring = self._lines.moves(turn)
        stands = own.stands >= STANDING or ring.stands >= STANDING * self._limits.max_running
        return PRESUMED * (known.service_time.mean_s or 0.0) if stands else inf


def answers_per_s(known: Known, seconds: float) -> float:
    """Of the agent's work, by turns that are stopped after so long."""
    share, work_s = known.service_time.within(seconds), known.service_time.work_s(seconds)
    if not share:
        return 0.0
    return share / work_s if work_s else inf


def least_worth(known: Known) -> float:
    """WORTH, less the standard error of a share of so few measurements (1/2 at its worst)."""
    return WORTH * (1 - 0.5 / sqrt(len(known.service_time)))


class Retries:
    """The messages that were sent away and may come again, the last REMEMBERED of them.

    A message comes again if the same words come in the same conversation. What is kept of it
    is a hash; were two to have the same, one might have to come twice.
    """

    __slots__ = ("_sent_away",)

    def __init__(self) -> None:
        self._sent_away: OrderedDict[int, float] = OrderedDict()

    def knows(self, turn: Turn, since: float) -> bool:
        """Whether it was sent away for the first time after that instant."""
        return bool(self._sent_away) and self._sent_away.get(_words(turn), -inf) > since

    def remember(self, turn: Turn, now: float) -> None:
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
