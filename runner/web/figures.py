"""The figures of what somebody sees: how many wait and run, how turns ended, how long they took."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from itertools import islice
from typing import Any

from typing_extensions import TypedDict

from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.web.shapes import Spread, cause_of, spread
from runner.web.sight import Sight
from strategies import State

WINDOW_S = 300.0
MOST_TURNS = 1_000
"""Percentiles are of the latest so many turns within the window."""


class OwnLoad(TypedDict):
    """As `strategies.Load` has it, of the turns that are seen."""

    waiting: int
    running: int
    fenced: int
    oldest_wait_s: float


class SystemLoad(TypedDict):
    """Of all processes that serve the same store."""

    processes: int
    slots: int
    waiting: int
    running: int
    oldest_wait_s: float


class Figures:
    """Counts are those that the service keeps; only durations are noted here.

    is_late  turns have ended since `times` was asked for.
    """

    def __init__(self, service: Service, sight: Sight) -> None:
        self._service = service
        self._sight = sight
        self._times: deque[tuple[float, float, float]] = deque(maxlen=MOST_TURNS)
        self.is_late = False

    def begin(self) -> None:
        """With the turns that have ended lately and are still known."""
        lately = self._service.lately_ended(WINDOW_S, self._sight.only)
        for live in reversed([*islice(lately, MOST_TURNS)]):
            self.note(live)

    def note(self, live: LiveTurn) -> None:
        """It has ended."""
        ending = live.ending
        assert ending is not None
        self._times.append((live.ended_at, ending.waited_s, ending.ran_s))
        self.is_late = True

    def now(self, fenced: int) -> dict[str, Any]:
        """`fenced` conversations are seen."""
        own: OwnLoad
        ended: Mapping[State, int]
        if self._sight.everyone:
            load = self._service.load()
            own = {
                "waiting": load.waiting,
                "running": load.running,
                "fenced": load.fenced,
                "oldest_wait_s": round(load.oldest_wait_s, 3),
            }
            ended = load.ended
        else:
            own = self._own_load(fenced)
            outcomes, caller = self._service.outcomes, self._sight.caller
            ended = {state: outcomes[caller, state] for state in State}
        return {
            "load": own,
            "ended": {str(state): count for state, count in ended.items() if count},
            "refused": self._refused(),
            **self._system(),
        }

    def _system(self) -> dict[str, SystemLoad | None]:
        """Of all processes, for who sees everybody's turns; None while that is not known."""
        figures = self._service.system
        if figures is None or not self._sight.everyone:
            return {}
        if (reading := figures.latest()) is None:
            return {"system": None}
        system = reading.system
        load: SystemLoad = {
            "processes": len(system.processes),
            "slots": sum(one.slots for one in system.processes),
            "waiting": system.waiting,
            "running": system.running,
            "oldest_wait_s": round(system.oldest_wait_s, 3),
        }
        return {"system": load}

    def _own_load(self, fenced: int) -> OwnLoad:
        lives = self._service.living(self._sight.caller)
        waiting = [live for live in lives if live.state is State.WAITING]
        waits_s = (live.ticket.waited_s for live in waiting if live.ticket is not None)
        return {
            "waiting": len(waiting),
            "running": len(lives) - len(waiting),
            "fenced": fenced,
            "oldest_wait_s": round(max(waits_s, default=0.0), 3),
        }

    def _refused(self) -> dict[str, int]:
        causes: Counter[str] = Counter()
        for (caller, kind), count in self._service.refusals.items():
            if self._sight.everyone or caller == self._sight.caller:
                causes[cause_of(kind)] += count
        return dict(causes)

    def times(self) -> dict[str, Spread | None]:
        """How long turns have waited and run lately."""
        self.is_late = False
        since = asyncio.get_running_loop().time() - WINDOW_S
        lately = [times for times in self._times if times[0] >= since]
        return {
            "wait_s": spread(waited_s for _, waited_s, _ in lately),
            "run_s": spread(ran_s for _, _, ran_s in lately if ran_s),
        }
