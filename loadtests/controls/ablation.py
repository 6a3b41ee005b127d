"""Queue with each of its parts switched off, so that the worth of each can be measured alone.

    queue-no-start-check  a told deadline stops no start before it has passed
    queue-no-patience     those who leave teach nothing
    queue-no-presumption  nothing is presumed of those of whom nothing is known
    queue-no-retries      a message that was sent away waits like any other
    queue-no-standing     what is presumed holds for a burst too
    queue-bare            all of them off: a bounded, fair line
    queue-before          the rule that queue had before: a mean and a deviation of the service
                          times, of told deadlines alone

Each overrides one method of the product's own classes, so what is left is the product.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import inf, sqrt

from strategies import Answer, Limits, Turn, WaitExpired
from strategies.lines import Lines, Moves
from strategies.patience import Patience
from strategies.queue import Queue
from strategies.shedding import Known, Shedding
from strategies.ticket import LocalTicket

EVER = 10**9
"""Turns that were taken from a line: more than any has."""


class Ablated(Queue):
    """Queue with other rules for what is shed, or with other lines."""

    def __init__(
        self,
        answer: Answer,
        limits: Limits,
        *,
        shedding: type[Shedding] = Shedding,
        lines: type[Lines] = Lines,
    ) -> None:
        super().__init__(answer, limits)
        self._lines = lines(self.ageing_s, self._engine.slots)
        self.shedding = shedding(self._lines, limits)


class NoStartCheck(Shedding):
    def is_late(self, ticket: LocalTicket, now: float) -> bool:
        if ticket.turn.deadline_s is not None:
            return ticket.deadline <= now
        return super().is_late(ticket, now)


class NothingLearned(Patience):
    def observe(self, waited_s: float, now: float, *, left: bool) -> None:
        return


class NoPatience(Shedding):
    def known(self, turn: Turn) -> Known:
        known = super().known(turn)
        known.patience = NothingLearned()
        return known


class NoPresumption(Shedding):
    def _gives_way(self, ticket: LocalTicket) -> bool:
        return False


class NoRetries(Shedding):
    def retry_wait_s(self, turn: Turn, now: float) -> float:
        return inf


class AlwaysStanding(Lines):
    def moves(self, turn: Turn) -> tuple[Moves, Moves]:
        own, ring = super().moves(turn)
        return replace(own, stands_from=-EVER), replace(ring, stands_from=-EVER)


class Bare(NoStartCheck, NoPatience, NoPresumption, NoRetries):
    pass


class Slack(Bare):
    """A start, as it was: the mean service time and a deviation must be left."""

    def is_late(self, ticket: LocalTicket, now: float) -> bool:
        return ticket.deadline < now + self.needed_s(ticket.turn, slacks=1)

    def needed_s(self, turn: Turn, slacks: int) -> float:
        """Seconds that it should have left for its run; 0.0 before the first measurement."""
        run = self.known(turn).service_time.one_by_one(1)
        return run.mean_s + slacks * max(sqrt(run.variance_s2), run.mean_s / 8)


class Before(Ablated):
    """Admission, as it was: twice the slack, or those accepted last would wait in vain.

    Its default for turns that tell no deadline, 60 s, was no part of the rule: set `max_wait_s`.
    """

    def __init__(self, answer: Answer, limits: Limits) -> None:
        super().__init__(answer, limits)
        self._slack = Slack(self._lines, limits)
        self.shedding = self._slack

    def _check_time(self, turn: Turn) -> None:
        super()._check_time(turn)
        eta_s = self._eta_s(turn)
        if eta_s is not None and eta_s + self._slack.needed_s(turn, slacks=2) > (
            turn.deadline_s or inf
        ):
            raise self._refuse(turn, WaitExpired(retry_after_s=eta_s))


queue_no_start_check = partial(Ablated, shedding=NoStartCheck)
queue_no_patience = partial(Ablated, shedding=NoPatience)
queue_no_presumption = partial(Ablated, shedding=NoPresumption)
queue_no_retries = partial(Ablated, shedding=NoRetries)
queue_no_standing = partial(Ablated, lines=AlwaysStanding)
queue_bare = partial(Ablated, shedding=Bare)
queue_before = Before
