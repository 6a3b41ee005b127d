"""What comes in, and when: named, seeded schedules that are the same for every strategy.

A schedule is computed before the run and is open: its instants do not depend on
how fast anyone answers, so a server that stalls meets the crowd that it made
(closed loops hide that: "coordinated omission", Tene 2013). Times are in seconds
from the start of the run. Everything scales with `service_s`, the mean service
time, which is the unit of the design: a load of 1 is one arrival in each unit.

`make(name, seed)` makes one; `NAMES` says what each is for. A name may have an
argument after a colon: `overload:2`, `trace:FILE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from math import inf
from pathlib import Path
from random import Random

from loadtests.workloads.clients import PATIENT, USUAL, Clients
from loadtests.workloads.traces import TRACE, from_trace
from loadtests.workloads.workload import Arrival, Workload

Draw = Callable[[Random], float]
"""A service time, in units of its mean."""


def constant(rng: Random) -> float:
    return 1.0


def exponential(rng: Random) -> float:
    return rng.expovariate(1.0)


def lognormal(sigma: float) -> Draw:
    """Of mean 1: what model replies look like, many short ones and a few very long."""
    return lambda rng: rng.lognormvariate(-(sigma**2) / 2, sigma)


@dataclass(frozen=True, slots=True)
class Shape:
    """A workload before it has a seed and a scale. Times in units of the mean service time."""

    about: str
    load: float | Callable[[float], float]
    clients: Clients = USUAL
    service: Draw = exponential
    fails: float = 0.0
    leaves_after: float = inf
    horizon: float | None = None
    quiet: int = 0
    backends: int | None = None


def _spike(at: float) -> float:
    """A fifth of the time at load 4, between quiet times."""
    return 4.0 if 0.3 <= at < 0.5 else 0.3


def _retrying(policy: str, about: str) -> Shape:
    return Shape(
        f"load 1.5; clients that {about}", 1.5, Clients(timeout=10, patience=30, retry=policy)
    )


SHAPES: dict[str, Shape] = {
    "burst": Shape(
        "five messages within half a service time, as in the project's first test",
        inf,
        PATIENT,
        constant,
    ),
    "patient": Shape("load 0.8; nobody loses patience", 0.8, PATIENT),
    "steady-0.5": Shape("load 0.5; clients say a deadline, leave, back off", 0.5),
    "steady-0.8": Shape("load 0.8; clients say a deadline, leave, back off", 0.8),
    "overload-1.2": Shape("load 1.2; clients say a deadline, leave, back off", 1.2),
    "overload-2": Shape("load 2; clients say a deadline, leave, back off", 2.0),
    "overload-4": Shape("load 4; clients say a deadline, leave, back off", 4.0),
    "silent": Shape(
        "load 2; clients neither say a deadline nor leave, but a late answer helps nobody",
        2.0,
        Clients(timeout=10, patience=30, retry="give-up", tells_deadline=False, leaves=False),
    ),
    "tight": Shape(
        "load 0.8; constant service, and clients leave after 1.3 service times unannounced",
        0.8,
        Clients(timeout=1.3, patience=10, retry="backoff", tells_deadline=False),
        constant,
    ),
    "spike": Shape("load 0.3, and for a fifth of the time 4", _spike),
    "impatient": Shape(
        "load 1.2; clients leave after 4 service times in the mean, unannounced",
        1.2,
        Clients(timeout=10, patience=10, retry="give-up", tells_deadline=False),
        leaves_after=4.0,
    ),
    "retrying-give-up": _retrying("give-up", "try once"),
    "retrying-fixed": _retrying("fixed", "try again each service time"),
    "retrying-openai": _retrying("openai", "try again as OpenAI's client does"),
    "retrying-backoff": _retrying("backoff", "back off exponentially, with jitter"),
    "hot": Shape(
        "one flooding conversation beside 20 quiet ones; an agent that works at two turns at once",
        2.0,
        USUAL,
        quiet=20,
        backends=2,
    ),
    "heavy-tail": Shape("load 0.8; lognormal service, sigma 1.5", 0.8, service=lognormal(1.5)),
    "faulty": Shape("load 0.5; the agent fails at one turn in twenty", 0.5, fails=0.05),
}

NAMES: dict[str, str] = {
    **{name: shape.about for name, shape in SHAPES.items()},
    "trace:FILE": "your own traffic: a log of `runner serve --log json`, or lines of "
    '{"at": seconds, "conversation": ..., "service_s": ...}',
}

QUIET_LOAD = 0.8
"""All quiet conversations of `hot` together, of the two turns that its agent works at."""


class UnknownWorkload(ValueError):
    """No workload goes by this name."""


def make(name: str, seed: int, *, service_s: float = 0.1, services: float = 100.0) -> Workload:
    """The workload of this name; the same arguments give the same schedule, everywhere.

    service_s  mean service time, seconds.
    services   length of the run in mean service times; a burst is over at once.
    """
    if name.startswith(TRACE):
        return from_trace(Path(name.removeprefix(TRACE)), seed)
    if name not in SHAPES:
        close = get_close_matches(name, NAMES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UnknownWorkload(f"there is no workload {name!r}.{hint} Known: {', '.join(NAMES)}")
    shape = SHAPES[name]
    rng = Random(f"{name} {seed}")
    arrivals = sorted(_arrivals(shape, rng, services), key=lambda arrival: arrival.due_s)
    return Workload(
        name=name,
        seed=seed,
        service_s=service_s,
        horizon_s=(5.0 if shape.load == inf else services) * service_s,
        clients=shape.clients,
        arrivals=tuple(_scaled(arrival, service_s) for arrival in arrivals),
        backends=shape.backends,
    )


def _arrivals(shape: Shape, rng: Random, horizon: float) -> Iterator[Arrival]:
    if shape.load == inf:
        instants = [0.0, 0.1, 0.2, 0.3, 0.4]
    else:
        load = shape.load if callable(shape.load) else _flat(shape.load)
        instants = list(poisson(load, horizon, rng))
    for at in instants:
        yield _arrival(shape, rng, at, "hot" if shape.quiet else "one")
    if shape.quiet:
        for at in poisson(_flat(QUIET_LOAD), horizon, rng):
            yield _arrival(shape, rng, at, f"quiet-{rng.randrange(shape.quiet):02}")


def _arrival(shape: Shape, rng: Random, at: float, conversation: str) -> Arrival:
    service, fails = shape.service(rng), rng.random() < shape.fails
    leaves = None if shape.leaves_after == inf else rng.expovariate(1 / shape.leaves_after)
    return Arrival(at, conversation, service, fails, leaves)


def _scaled(arrival: Arrival, unit_s: float) -> Arrival:
    timeout = arrival.timeout_s
    return Arrival(
        round(arrival.due_s * unit_s, 6),
        arrival.conversation,
        round(arrival.service_s * unit_s, 6),
        arrival.fails,
        None if timeout is None else round(timeout * unit_s, 6),
    )


def _flat(load: float) -> Callable[[float], float]:
    return lambda at: load


def poisson(load: Callable[[float], float], horizon: float, rng: Random) -> Iterator[float]:
    """Instants of a Poisson process whose rate may change with `at`, a share of the horizon.

    By thinning (Lewis and Shedler 1979): points of the highest rate, each kept
    with the chance of the rate there.
    """
    highest = max(load(step / 1000) for step in range(1000))
    at = rng.expovariate(highest)
    while at < horizon:
        if rng.random() * highest < load(at / horizon):
            yield at
        at += rng.expovariate(highest)
