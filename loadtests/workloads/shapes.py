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

from difflib import get_close_matches
from math import inf
from pathlib import Path
from random import Random

from loadtests.workloads.clients import PATIENT, USUAL, Clients
from loadtests.workloads.draws import azure_code, azure_conv, constant, lognormal
from loadtests.workloads.schedules import Shape, scaled, schedule
from loadtests.workloads.traces import TRACE, from_trace
from loadtests.workloads.workload import Workload


def _spike(at: float) -> float:
    """A fifth of the time at load 4, between quiet times."""
    return 4.0 if 0.3 <= at < 0.5 else 0.3


def _retrying(policy: str, about: str) -> Shape:
    return Shape(
        f"load 1.5; clients that {about}", 1.5, Clients(timeout=10, patience=30, retry=policy)
    )


def _fifty(load: float) -> Shape:
    return Shape(
        f"fifty conversations by chance, over an agent that works at four turns at once; "
        f"load {load:g} of the four",
        4 * load,
        conversations=50,
        backends=4,
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
    "fifty-0.8": _fifty(0.8),
    "fifty-1.2": _fifty(1.2),
    "fifty-2": _fifty(2.0),
    "sessions": Shape(
        "users of five turns each, who think (five service times in the mean) after each "
        "answer or refusal; load 1.2 of an agent that works at four turns at once, if nobody waits",
        4 * 1.2,
        backends=4,
        turns=5,
    ),
    "double-submit": Shape(
        "load 0.8, doubles included; one user in four sends the words again within half a "
        "service time, and the second is of no use",
        0.8,
        repeats=0.25,
    ),
    "callers": Shape(
        "one caller floods twenty conversations beside ten quiet callers; an agent that "
        "works at two turns at once; simulated only, for real runs have one caller",
        2 * 1.6,
        backends=2,
        conversations=20,
        quiet_callers=10,
    ),
    "azure-conv-2": Shape(
        "load 2; service times of real chat traffic (Azure 2023)", 2.0, service=azure_conv
    ),
    "azure-code-2": Shape(
        "load 2; service times of real code completion (Azure 2023)", 2.0, service=azure_code
    ),
}

NAMES: dict[str, str] = {
    **{name: shape.about for name, shape in SHAPES.items()},
    "trace:FILE": "your own traffic: a log of `runner serve --log json`, or lines of "
    '{"at": seconds, "conversation": ..., "service_s": ...}, or a CSV as Azure published it '
    "(TIMESTAMP,ContextTokens,GeneratedTokens; each row a conversation)",
}


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
    arrivals = schedule(shape, Random(f"{name} {seed}"), services)
    return Workload(
        name=name,
        seed=seed,
        service_s=service_s,
        horizon_s=(5.0 if shape.load == inf else services) * service_s,
        clients=shape.clients,
        arrivals=tuple(scaled(arrival, service_s) for arrival in arrivals),
        backends=shape.backends,
    )
