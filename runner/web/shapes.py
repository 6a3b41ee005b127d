"""The documents of the view: what a reader is shown, as types and how they are made.

Instants are seconds since 1970 by the server's clock; ages are the reader's to count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import nsmallest
from typing import NotRequired

from typing_extensions import TypedDict

from runner.api.problems import INTERNAL, TURN_CAUSES
from runner.callers import caller_of, own_id
from runner.turns.ending import KINDS
from runner.turns.live_turn import LiveTurn
from runner.web.sight import Sight
from strategies import State, Turn, TurnError

MOST_WAITING = 20
"""Turns of a line that are shown, beside those that run."""

MOST_OF_MESSAGE = 80
"""Characters."""


class Named(TypedDict):
    """A conversation, and whose it is."""

    conversation: str
    caller: str


class ShownTurn(TypedDict):
    id: str
    state: State
    position: int | None
    eta_s: float | None
    accepted_at: float
    started_at: float | None
    priority: int
    attempt: int
    message: NotRequired[str]


class Line(Named):
    """One with turns that have not ended; `turns` are the first of them."""

    waiting: int
    running: int
    turns: list[ShownTurn]


class Mark(Named):
    """A turn that has ended, or was refused."""

    id: str
    state: State
    cause: str | None
    accepted_at: float
    started_at: float | None
    ended_at: float
    message: NotRequired[str]


class Spread(TypedDict):
    """Percentiles of so many durations, in seconds."""

    n: int
    p50: float
    p95: float
    p99: float


def named(conversation: str) -> Named:
    return {"conversation": own_id(conversation), "caller": caller_of(conversation)}


def line(conversation: str, lives: Sequence[LiveTurn], sight: Sight, now: float) -> Line:
    running = [live for live in lives if live.state is State.RUNNING]
    waiting = [live for live in lives if live.state is State.WAITING]
    # The strategy alone knows the order; by urgency the first of these are among the next.
    first = nsmallest(MOST_WAITING, waiting, key=lambda live: live.turn.priority)
    turns = [_shown(live, sight, now) for live in (*running, *first)]
    return {
        **named(conversation),
        "waiting": len(waiting),
        "running": len(running),
        "turns": sorted(turns, key=lambda turn: turn["position"] or 0),
    }


def _shown(live: LiveTurn, sight: Sight, now: float) -> ShownTurn:
    ticket, state = live.ticket, live.state
    waited_s, ran_s = (ticket.waited_s, ticket.ran_s) if ticket else (0.0, 0.0)
    place = ticket.place() if ticket and state is State.WAITING else None
    started_at = now - ran_s if state is State.RUNNING else None
    document: ShownTurn = {
        "id": live.turn.id,
        "state": state,
        "position": place.position if place else None if state is State.WAITING else 0,
        "eta_s": None if place is None or place.eta_s is None else round(place.eta_s, 3),
        "accepted_at": round(now - ran_s - waited_s, 3),
        "started_at": None if started_at is None else round(started_at, 3),
        "priority": live.turn.priority,
        "attempt": live.attempts,
    }
    if sight.reads(live.turn.conversation):
        document["message"] = live.turn.message[:MOST_OF_MESSAGE]
    return document


def ended(live: LiveTurn, sight: Sight, ended_at: float) -> Mark:
    """Of a turn that has ended at this instant."""
    ending = live.ending
    assert ending is not None
    began_at = ended_at - ending.ran_s if ending.ran_s else None
    accepted_at = ended_at - ending.ran_s - ending.waited_s
    cause = None if ending.cause is None else cause_of(KINDS.get(ending.cause, TurnError))
    return _mark(live.turn, sight, ending.state, cause, accepted_at, began_at, ended_at)


def refused(turn: Turn, error: TurnError, sight: Sight, now: float) -> Mark:
    return _mark(turn, sight, State.REFUSED, cause_of(type(error)), now, None, now)


def _mark(
    turn: Turn,
    sight: Sight,
    state: State,
    cause: str | None,
    accepted_at: float,
    started_at: float | None,
    ended_at: float,
) -> Mark:
    document: Mark = {
        "id": turn.id,
        "conversation": own_id(turn.conversation),
        "caller": caller_of(turn.conversation),
        "state": state,
        "cause": cause,
        "accepted_at": round(accepted_at, 3),
        "started_at": None if started_at is None else round(started_at, 3),
        "ended_at": round(ended_at, 3),
    }
    if sight.reads(turn.conversation):
        document["message"] = turn.message[:MOST_OF_MESSAGE]
    return document


def cause_of(kind: type[TurnError]) -> str:
    """The name of the problem that its client is told."""
    return next((TURN_CAUSES[one] for one in kind.__mro__ if one in TURN_CAUSES), INTERNAL).name


def spread(seconds: Iterable[float]) -> Spread | None:
    """By the nearest rank; None of nothing."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    n = len(ordered)

    def at(share: float) -> float:
        return round(ordered[min(n - 1, int(share * n))], 4)

    return {"n": n, "p50": at(0.5), "p95": at(0.95), "p99": at(0.99)}
