"""Claim: the simulation is right where queueing theory has a formula."""

from __future__ import annotations

from random import Random
from statistics import fmean

import pytest

from loadtests.simulation import theory
from loadtests.simulation.long_runs import UNBOUNDED, one_conversation, share_refused
from loadtests.simulation.simulate import simulate
from loadtests.workloads.draws import Draw, constant, exponential, lognormal

SERVICES: dict[str, tuple[Draw, float]] = {
    "M/D/1": (constant, 0.0),
    "M/M/1": (exponential, 1.0),
    "M/G/1": (lognormal(0.5), 0.284),
}


@pytest.mark.parametrize("strategy", ["queue", "lock"])
@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("load", [0.5, 0.8])
def test_every_single_wait_is_that_of_the_lindley_recursion(
    strategy: str, name: str, load: float
) -> None:
    """Lindley 1952: a wait is the wait before it and its service, less the time between them."""
    workload = one_conversation(load, SERVICES[name][0], 1_000, "give-up", seed=1)
    run = simulate(strategy, workload, limits=UNBOUNDED)

    expected, free_at = [], 0.0
    for arrival in workload.arrivals:
        begins = max(arrival.due_s, free_at)
        expected.append(begins - arrival.due_s)
        free_at = begins + arrival.service_s
    waited = [turn.answer.waited_s for turn in run.turns if turn.answer]
    assert waited == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow  # Statistics.
@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("load", [0.5, 0.8])
def test_the_recursion_has_the_mean_wait_of_the_formula_within_3_percent(
    name: str, load: float
) -> None:
    draw, variance = SERVICES[name]
    rng, waited, waits = Random(1), 0.0, []
    for _ in range(1_000_000 if load > 0.6 else 300_000):
        waits.append(waited)
        waited = max(0.0, waited + draw(rng) - rng.expovariate(load))

    assert fmean(waits) == pytest.approx(theory.mg1_wait(load, variance), rel=0.03)


@pytest.mark.slow  # Statistics.
@pytest.mark.parametrize("load", [0.5, 1.5])
def test_reject_loses_what_erlangs_formula_says_within_3_percent(load: float) -> None:
    assert share_refused(load, exponential, 10_000) == pytest.approx(theory.loss(load), rel=0.03)
