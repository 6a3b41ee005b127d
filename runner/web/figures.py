"""The figures of what somebody sees: how many wait and run, how turns ended, how long they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Any

from runner.turns.service import Service
from runner.web import shapes
from runner.web.sight import Sight
from strategies import State

WINDOW_S = 300.0
MOST_TURNS = 1_000
"""Percentiles are of the latest so many turns within the window."""


class Figures:
    """They are read where they stand: nothing is counted for them while nobody looks."""

    def __init__(self, service: Service, sight: Sight) -> None:
        self._service = service
        self._sight = sight

    def now(self) -> dict[str, Any]:
        if self._sight.everyone:
            load = self._service.load()
            own = {
                "waiting": load.waiting,
                "running": load.running,
                "fenced": load.fenced,
                "oldest_wait_s": round(load.oldest_wait_s, 3),
            }
            ended: Mapping[State, int] = load.ended
        else:
            own, ended = self._of_caller()
        return {
            "load": own,
            "ended": {str(state): count for state, count in ended.items()},
            "refused": self._refused(),
        }

    def times(self) -> dict[str, shapes.Spread | None]:
        """How long turns have waited and run lately."""
        seen = (
            live.ending
            for live in self._service.lately_ended(WINDOW_S)
            if live.ending is not None and self._sight.sees(live.turn.conversation)
        )
        endings = list(islice(seen, MOST_TURNS))
        return {
            "wait_s": shapes.spread(ending.waited_s for ending in endings),
            "run_s": shapes.spread(ending.ran_s for ending in endings if ending.ran_s),
        }

    def _of_caller(self) -> tuple[dict[str, float], Mapping[State, int]]:
        """Of one caller's turns: those that live, and those that have ended and are still known."""
        lives = self._service.living(self._sight.caller)
        states = Counter(live.state for live in lives)
        waits = (live.ticket.waited_s for live in lives if live.ticket and not live.is_called)
        own = {
            "waiting": states[State.WAITING],
            "running": states[State.RUNNING],
            "fenced": 0,
            "oldest_wait_s": round(max(waits, default=0.0), 3),
        }
        ended = Counter(
            live.state
            for live in self._service.lately_ended(WINDOW_S)
            if self._sight.sees(live.turn.conversation)
        )
        return own, ended

    def _refused(self) -> dict[str, int]:
        causes: Counter[str] = Counter()
        for (caller, kind), count in self._service.refusals.items():
            if self._sight.everyone or caller == self._sight.caller:
                causes[shapes.cause_of(kind)] += count
        return dict(causes)
