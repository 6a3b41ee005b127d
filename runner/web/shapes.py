"""The documents of the view: what a reader is shown, as types and how they are made.

Instants are seconds since 1970 by the server's clock; ages are the reader's to count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from heapq import nsmallest
from math import ceil
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from runner.api.problems import INTERNAL, TURN_CAUSES
from runner.callers import caller_of, own_id
from runner.turns.ending import KINDS
from runner.turns.live_turn import LiveTurn
from runner.web.sight import Sight
from strategies import State, Turn, TurnError

WAITING = State.WAITING  # In Python 3.11 that takes ten times as long.

MOST_WAITING = 20
"""Turns of a line that are shown, beside those that run."""

MOST_OF_MESSAGE = 80
"""Characters."""


class Named(TypedDict):
    """A conversation, and whose it is."""

    conversation: str
    caller: str


class Timed(TypedDict):
    """A turn, and when it was accepted and its agent first had it."""

    id: str
    accepted_at: float
    started_at: float | None
    message: NotRequired[str]


class ShownTurn(Timed):
    """One that has not ended, or whose agent was told to stop and has not: `fenced`."""

    state: State | Literal["fenced"]
    position: int | None
    eta_s: float | None
    priority: int
    attempt: int


class Line(Named):
    """One with turns; `turns` are those that run, and the first of those that wait."""

    waiting: int
    running: int
    turns: list[ShownTurn]


class Mark(Named, Timed):
    """A turn that has ended, or was refused."""

    state: State
    cause: str | None
    ended_at: float


class Spread(TypedDict):
    """Percentiles of so many durations, in seconds."""

    n: int
    p50: float
    p95: float
    p99: float


class Shapes:
    """Makes the documents as this sight has them."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._loop = asyncio.get_running_loop()
        # Once: if the clock is set meanwhile, no age changes.
        self._epoch = time.time() - self._loop.time()

    def now(self) -> float:
        return round(self._epoch + self._loop.time(), 3)

    def line(self, conversation: str, lives: Sequence[LiveTurn]) -> Line:
        """`lives` are in order of acceptance."""
        waiting, others = list[LiveTurn](), list[LiveTurn]()
        for live in lives:
            (waiting if live.state is WAITING else others).append(live)
        # The strategy alone knows the order; by urgency the first of these are among the next.
        first = nsmallest(MOST_WAITING, waiting, key=lambda live: live.turn.priority)
        turns = [self._shown(live) for live in (*others, *first)]
        return {
            **named(conversation),
            "waiting": len(waiting),
            "running": sum(live.ending is None for live in others),
            "turns": sorted(turns, key=lambda turn: turn["position"] or 0),
        }

    def _shown(self, live: LiveTurn) -> ShownTurn:
        state = live.state
        is_waiting = state is WAITING
        place = live.ticket.place() if live.ticket is not None and is_waiting else None
        return {
            **self._timed(live),
            "state": state if live.ending is None else "fenced",
            "position": place.position if place else None if is_waiting else 0,
            "eta_s": None if place is None or place.eta_s is None else round(place.eta_s, 3),
            "priority": live.turn.priority,
            "attempt": live.attempts,
        }

    def ended(self, live: LiveTurn) -> Mark:
        ending = live.ending
        assert ending is not None
        cause = None if ending.cause is None else cause_of(KINDS.get(ending.cause, TurnError))
        return {
            **named(live.turn.conversation),
            **self._timed(live),
            "state": ending.state,
            "cause": cause,
            "ended_at": round(self._epoch + live.ended_at, 3),
        }

    def refused(self, turn: Turn, error: TurnError) -> Mark:
        now = self.now()
        timed: Timed = {"id": turn.id, "accepted_at": now, "started_at": None}
        return {
            **named(turn.conversation),
            **self._with_text(timed, turn),
            "state": State.REFUSED,
            "cause": cause_of(type(error)),
            "ended_at": now,
        }

    def _timed(self, live: LiveTurn) -> Timed:
        until = self._epoch + (live.ended_at if live.ending else self._loop.time())
        times = live.ending or live.ticket
        waited_s, ran_s = (times.waited_s, times.ran_s) if times else (0.0, 0.0)
        timed: Timed = {
            "id": live.turn.id,
            "accepted_at": round(until - ran_s - waited_s, 3),
            "started_at": round(until - ran_s, 3) if ran_s else None,
        }
        return self._with_text(timed, live.turn)

    def _with_text(self, timed: Timed, turn: Turn) -> Timed:
        if self._sight.reads(turn.conversation):
            timed["message"] = turn.message[:MOST_OF_MESSAGE]
        return timed


def named(conversation: str) -> Named:
    return {"conversation": own_id(conversation), "caller": caller_of(conversation)}


def cause_of(kind: type[TurnError]) -> str:
    """The name of the problem that its client is told."""
    return next((TURN_CAUSES[one] for one in kind.__mro__ if one in TURN_CAUSES), INTERNAL).name


def spread(seconds: Iterable[float]) -> Spread | None:
    """By the nearest rank; None of nothing."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    n = len(ordered)
    p50, p95, p99 = (round(ordered[ceil(n * part / 100) - 1], 4) for part in (50, 95, 99))
    return {"n": n, "p50": p50, "p95": p95, "p99": p99}
