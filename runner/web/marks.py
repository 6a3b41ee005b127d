"""What is over: turns that have ended, and those that were refused."""

from __future__ import annotations

from collections import deque
from itertools import islice

from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.web.shapes import Mark, Shapes
from runner.web.sight import Sight
from strategies import Turn, TurnError

MOST_MARKS = 200
PAST_S = 60.0


class Marks:
    """Those that are still to be told; and the past, for whoever has just come.

    A refusal leaves nothing that could be asked for later, so those alone are kept here.
    left_out  so many more there were since the last time.
    """

    def __init__(self, service: Service, sight: Sight, shapes: Shapes) -> None:
        self._service = service
        self._sight = sight
        self._shapes = shapes
        self._new: list[Mark | LiveTurn] = []
        self._refused: deque[Mark] = deque(maxlen=MOST_MARKS)
        self.left_out = 0

    def ended(self, live: LiveTurn) -> None:
        if self._has_room():
            self._new.append(live)  # Its mark is made when it is told: a turn does not wait for it.

    def refused(self, turn: Turn, error: TurnError) -> None:
        mark = self._shapes.refused(turn, error)
        self._refused.append(mark)
        if self._has_room():
            self._new.append(mark)

    def _has_room(self) -> bool:
        has_room = len(self._new) < MOST_MARKS
        self.left_out += not has_room
        return has_room

    def news(self) -> tuple[list[Mark], int]:
        """Those since the last time, and how many there was no room for."""
        (news, left_out), shapes = (self._new, self.left_out), self._shapes
        self._new, self.left_out = [], 0
        return [shapes.ended(one) if isinstance(one, LiveTurn) else one for one in news], left_out

    def past(self) -> tuple[list[Mark], int]:
        """Those of the last minute that are still known, in order; likewise. None is news then."""
        self._new, self.left_out = [], 0
        since = self._shapes.now() - PAST_S
        lately = self._service.lately_ended(PAST_S, self._sight.only)
        marks = [self._shapes.ended(live) for live in islice(lately, MOST_MARKS)]
        known = len(marks) + sum(1 for _ in lately)
        refused = [mark for mark in self._refused if mark["ended_at"] >= since]
        told = sorted((*marks, *refused), key=lambda mark: mark["ended_at"])[-MOST_MARKS:]
        return told, known + len(refused) - len(told)
