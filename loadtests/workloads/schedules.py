"""How a shape becomes arrivals: everything in units of the mean service time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf
from random import Random

from loadtests.workloads.clients import USUAL, Clients
from loadtests.workloads.draws import Draw, exponential, poisson
from loadtests.workloads.workload import Arrival

QUIET_LOAD = 0.8
"""All quiet conversations of `hot` together, and all quiet callers of `callers`."""

THINK = 5.0
"""Mean think time of `sessions`."""

MOST_BEFORE = 200.0
"""How long before the start a session may have begun: far longer than nearly all of them are."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A workload before it has a seed and a scale. Times in units of the mean service time.

    load           services that come in a unit of time, by the share of the horizon where it
                   changes; so a load of 4 fills four backends. Repeats are in it, the quiet
                   conversations of `quiet` and `quiet_callers` are not.
    service        service times, of mean 1.
    fails          the share of turns at whose first attempt the agent fails.
    leaves_after   mean patience of a user, exponential.
    quiet          quiet conversations beside the hot one, with QUIET_LOAD together.
    quiet_callers  quiet callers beside the flooding one, with QUIET_LOAD together.
    conversations  each arrival is in one of so many, by chance.
    repeats        the share of users who send the same words a second time, within half
                   a service time.
    turns          each arrival begins a session of so many turns, with think times between.
    """

    about: str
    load: float | Callable[[float], float]
    clients: Clients = USUAL
    service: Draw = exponential
    fails: float = 0.0
    leaves_after: float = inf
    quiet: int = 0
    backends: int | None = None
    quiet_callers: int = 0
    conversations: int = 1
    repeats: float = 0.0
    turns: int = 1


def schedule(shape: Shape, rng: Random, horizon: float) -> list[Arrival]:
    """All arrivals of a run in the order in which they are due; see `Arrival` on those that follow.

    The sequence of draws from `rng` is part of what a seed means: a new kind of shape
    draws nothing for the others.
    """
    if shape.turns > 1:
        return _numbered(_sessions(shape, rng, horizon), horizon)
    return _in_order(_arrivals(shape, rng, horizon))


def _arrivals(shape: Shape, rng: Random, horizon: float) -> Iterator[Arrival]:
    for at in _instants(shape, rng, horizon):
        yield from _repeated(shape, rng, _arrival(shape, rng, at, _conversation(shape, rng)))
    if shape.quiet:
        for at in poisson(flat(QUIET_LOAD), horizon, rng):
            yield _arrival(shape, rng, at, f"quiet-{rng.randrange(shape.quiet):02}")
    if shape.quiet_callers:
        for at in poisson(flat(QUIET_LOAD), horizon, rng):
            caller = f"caller-{rng.randrange(shape.quiet_callers):02}"
            made = _arrival(shape, rng, at, f"quiet-{caller}-{rng.randrange(3)}")
            yield replace(made, caller=caller)


def _instants(shape: Shape, rng: Random, horizon: float) -> list[float]:
    if shape.load == inf:
        return [0.0, 0.1, 0.2, 0.3, 0.4]
    load = shape.load if callable(shape.load) else flat(shape.load / (1 + shape.repeats))
    return list(poisson(load, horizon, rng))


def _conversation(shape: Shape, rng: Random) -> str:
    if shape.conversations > 1:
        return f"conversation-{rng.randrange(shape.conversations):02}"
    return "hot" if shape.quiet else "one"


def _arrival(shape: Shape, rng: Random, at: float, conversation: str) -> Arrival:
    service, fails = shape.service(rng), rng.random() < shape.fails
    leaves = None if shape.leaves_after == inf else rng.expovariate(1 / shape.leaves_after)
    caller = "flooding" if shape.quiet_callers else ""
    return Arrival(at, conversation, service, fails, leaves, caller=caller)


def _repeated(shape: Shape, rng: Random, arrival: Arrival) -> Iterator[Arrival]:
    """The arrival, and its double where the user sends it twice.

    `repeats` is 0 here and gets its number when all stand in order.
    """
    yield arrival
    if shape.repeats and rng.random() < shape.repeats:
        yield replace(arrival, due_s=arrival.due_s + rng.uniform(0, 0.5), repeats=0)


def _in_order(made: Iterable[Arrival]) -> list[Arrival]:
    """Sorted by due time; each double, made right after its first, gets the first's number."""
    listed = list(made)
    order = sorted(range(len(listed)), key=lambda index: listed[index].due_s)
    number = {index: place for place, index in enumerate(order)}
    return [
        listed[index]
        if listed[index].repeats is None
        else replace(listed[index], repeats=number[index - 1])
        for index in order
    ]


def _sessions(shape: Shape, rng: Random, horizon: float) -> Iterator[list[Arrival]]:
    """Each session's turns, those of sessions that began before the run too.

    A turn is due, at the soonest, a think time after the one before it would have ended
    had it not waited. The load is that of all turns, and is there from the start.
    """
    assert not callable(shape.load)
    rate = shape.load / shape.turns
    for serial, began in enumerate(poisson(flat(rate), MOST_BEFORE + horizon, rng)):
        at, turns = began - MOST_BEFORE, list[Arrival]()
        for _ in range(shape.turns):
            think = rng.expovariate(1 / THINK)
            made = _arrival(shape, rng, at + think if turns else at, f"session-{serial:04}")
            turns.append(replace(made, think_s=think))
            at = made.due_s + made.service_s
        yield turns


def _numbered(sessions: Iterable[list[Arrival]], horizon: float) -> list[Arrival]:
    """Those of the turns that are due within the run, each with the number of the one before."""
    inside = (a for turns in sessions for a in turns if 0 <= a.due_s < horizon)
    last: dict[str, int] = {}
    arrivals: list[Arrival] = []
    for number, arrival in enumerate(sorted(inside, key=lambda arrival: arrival.due_s)):
        before = last.get(arrival.conversation)
        think = 0.0 if before is None else arrival.think_s
        arrivals.append(replace(arrival, after=before, think_s=think))
        last[arrival.conversation] = number
    return arrivals


def scaled(arrival: Arrival, unit_s: float) -> Arrival:
    """From units of the mean service time to seconds."""
    timeout = arrival.timeout_s
    return replace(
        arrival,
        due_s=round(arrival.due_s * unit_s, 6),
        service_s=round(arrival.service_s * unit_s, 6),
        timeout_s=None if timeout is None else round(timeout * unit_s, 6),
        think_s=round(arrival.think_s * unit_s, 6),
    )


def flat(load: float) -> Callable[[float], float]:
    """The same load all the time."""
    return lambda at: load
