"""Long runs in virtual time where theory has a formula: is the simulation right?"""

from __future__ import annotations

from math import inf
from random import Random
from statistics import fmean

from loadtests.simulation.simulate import simulate
from loadtests.workloads.clients import Clients
from loadtests.workloads.draws import Draw, poisson
from loadtests.workloads.workload import Arrival, Workload
from strategies import Limits

UNBOUNDED = Limits(
    max_waiting=10**9, max_waiting_per_conversation=10**9, max_wait_s=inf, turn_timeout_s=None
)
NO_END = 1e6


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
