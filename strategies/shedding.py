"""Shedding: which turns are not worth a start, under overload.

A line that is longer than its clients are patient serves nobody, for each turn starts when
its client is just about to give up. So the first of a line starts only if an answer is still
worth the agent's work, compared with a turn that has just come:

- A deadline was told: by the answers that a second of work brings. The agent is stopped at
  the deadline, so a late start costs no more than what is left; with long and short turns
  mixed, that is often still the best use of the agent.
- Clients leave: by the chance that the answer finds its client, from the patience of those
  who left (see `patience`).
- Neither: nobody knows. A burst is let through, however long it waits. But where turns have
  waited without a break for STANDING mean service times (a standing queue, as CoDel calls
  it: Nichols and Jacobson, ACM Queue 10, 2012), each waits for PRESUMED of them at most.

At submission nobody is sent away for that, but one that was sent away before and comes
again: it waits only if it is expected to start in half of its time. Those who come for the
first time, who can still be served in time, then find a shorter line.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf, sqrt

from .base import Turn
from .errors import State
from .lines import Lines
from .patience import Patience
from .service_time import ServiceTime
from .ticket import LocalTicket

WORTH = 0.9
"""A start is worth so much of a fresh turn's. Between .8 and .95 little changes; at 1 the
noise of the measurement decides."""

STANDING = 20.0
"""Mean service times after which a line that never emptied is no burst any more."""

PRESUMED = 4.0
"""Mean service times that clients of whom nothing is known are taken to wait, then."""

MARGIN = 1 / 32
"""Of a mean service time: where all turns take the same time, one that would end just at its
deadline ends just too late."""

RETRY = 0.5
"""A retry waits if it starts in this share of the time that its client can wait."""

REMEMBERED = 1_000
"""Messages that were sent away and may come again."""


class Shedding:
    """What is known of service times, of patience and of retries, and what follows from it.

    max_wait_s  how long a turn without a deadline may wait, where somebody has said so.
    """

    def __init__(self, service_time: ServiceTime, lines: Lines, max_wait_s: float | None) -> None:
        self.patience = Patience()
        self.retries = Retries()
        self._service_time = service_time
        self._lines = lines
        self._max_wait_s = max_wait_s

    def is_late(self, ticket: LocalTicket, now: float) -> bool:
        """The first of a line, whose turn it is, is not worth the start any more."""
        mean_s, deadline_s = self._service_time.mean_s, ticket.turn.deadline_s
        if mean_s is None:
            return ticket.deadline <= now
        if deadline_s is not None:
            left_s = ticket.deadline - now - MARGIN * mean_s
            fresh = self._answers_per_s(deadline_s)
            return left_s <= 0.0 or self._answers_per_s(left_s) < fresh * self._worth()
        waited_s = now - ticket.accepted_at
        if self.patience.known:
            fresh = self.patience.finds_client(0.0, self._service_time)
            found = self.patience.finds_client(waited_s, self._service_time)
            return found < fresh * self._worth()
        return waited_s >= self._presumed_s(ticket.turn, now)

    def sends_back(self, turn: Turn, eta_s: float, now: float) -> bool:
        """A turn that would have to wait so long was sent away before, and should not wait."""
        if not self.retries.knows(turn):
            return False
        spare_s = self._patience_s(turn, now) - (self._service_time.mean_s or 0.0)
        return eta_s > RETRY * spare_s

    def ended(self, ticket: LocalTicket) -> None:
        """A turn has ended: waiting, or running, or answered."""
        if ticket.turn.deadline_s is None and ticket.started_at is None:
            self.patience.observe(ticket.waited_s, left=ticket.state is State.CANCELLED)
        if ticket.state is State.ANSWERED:
            self.retries.forget(ticket.turn)
        else:
            self.retries.remember(ticket.turn)

    def started(self, ticket: LocalTicket) -> None:
        if ticket.turn.deadline_s is None:
            self.patience.observe(ticket.waited_s, left=False)

    def _answers_per_s(self, seconds: float) -> float:
        """Of the agent's work, by turns that are stopped after so long."""
        work_s = self._service_time.work_s(seconds)
        return self._service_time.within(seconds) / work_s if work_s else inf

    def _worth(self) -> float:
        """WORTH, less the standard error of a share of so few measurements (1/2 at its worst)."""
        return WORTH * (1 - 0.5 / sqrt(len(self._service_time)))

    def _patience_s(self, turn: Turn, now: float) -> float:
        if turn.deadline_s is not None:
            return turn.deadline_s
        return self.patience.median_s() if self.patience.known else self._presumed_s(turn, now)

    def _presumed_s(self, turn: Turn, now: float) -> float:
        """How long a turn may wait of whose client nothing is known."""
        if self._max_wait_s is not None:
            return self._max_wait_s
        mean_s = self._service_time.mean_s or 0.0
        if self._lines.is_last(turn.conversation):  # It takes nobody's place.
            return inf
        stands = self._lines.standing_s(turn.conversation, now) > STANDING * mean_s
        return PRESUMED * mean_s if stands else inf


class Retries:
    """The messages that were sent away and may come again, the last REMEMBERED of them.

    A message comes again if the same words come in the same conversation. What is kept of it
    is a hash; were two to have the same, one might have to come twice.
    """

    __slots__ = ("_sent_away",)

    def __init__(self) -> None:
        self._sent_away: OrderedDict[int, None] = OrderedDict()

    def knows(self, turn: Turn) -> bool:
        return bool(self._sent_away) and _words(turn) in self._sent_away

    def remember(self, turn: Turn) -> None:
        words = _words(turn)
        self._sent_away[words] = None
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
