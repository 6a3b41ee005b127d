"""Long runs in virtual time where theory has a formula: is the simulation right?"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from random import Random
from statistics import fmean

from loadtests.simulation.simulate import simulate
from loadtests.workloads.clients import Clients
from loadtests.workloads.draws import Draw, constant, exponential, poisson
from loadtests.workloads.workload import Arrival, Workload
from strategies import Limits

UNBOUNDED = Limits(
    max_waiting=10**9, max_waiting_per_conversation=10**9, max_wait_s=inf, turn_timeout_s=None
)
LOADS = (0.2, 0.4, 0.6, 0.8)
NO_END = 1e6


@dataclass(frozen=True, slots=True)
class LongRuns:
    """waits: ("M/M/1" or "M/D/1", load) -> mean wait of queue; losses: load -> share refused."""

    waits: dict[tuple[str, float], float]
    losses: dict[float, float]


def long_runs(turns: int = 15_000) -> LongRuns:
    """Runs of about so many turns each (a fourth for losses, which vary less); always the same."""
    services: dict[str, Draw] = {"M/M/1": exponential, "M/D/1": constant}
    return LongRuns(
        {
            (name, load): mean_wait(load, draw, turns)
            for name, draw in services.items()
            for load in LOADS
        },
        {load: share_refused(load, exponential, turns // 4) for load in LOADS},
    )


def mean_wait(load: float, draw: Draw, turns: int, strategy: str = "queue", seed: int = 1) -> float:
    """Mean wait in mean service times, of users who neither leave nor say a deadline."""
    workload = one_conversation(load, draw, turns, "backoff", seed)
    run = simulate(strategy, workload, limits=UNBOUNDED)
    return fmean(turn.answer.waited_s for turn in run.turns if turn.answer)


def share_refused(load: float, draw: Draw, turns: int, seed: int = 1) -> float:
    """The share that reject refuses when nobody comes back."""
    run = simulate("reject", one_conversation(load, draw, turns, "give-up", seed))
    return fmean(turn.answer is None for turn in run.turns)


def one_conversation(load: float, draw: Draw, turns: int, retry: str, seed: int) -> Workload:
    """Poisson arrivals in one conversation, in mean service times; nobody leaves."""
    rng = Random(f"{load} {seed}")
    horizon = turns / load
    instants = list(poisson(lambda at: load, horizon, rng))
    arrivals = tuple(Arrival(at, "one", draw(rng)) for at in instants)
    clients = Clients(NO_END, NO_END, retry, tells_deadline=False, leaves=False)
    return Workload(f"load-{load}", seed, 1.0, horizon, clients, arrivals)
