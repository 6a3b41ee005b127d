"""The advice of `runner simulate --target` against brute force: whoever tries everything wins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import pytest

from loadtests.simulation.advice import Advice, Traffic
from loadtests.simulation.search import recommend
from loadtests.simulation.setups import Setup, Target, most_slots
from loadtests.simulation.simulate import simulate
from loadtests.simulation.trials import Score, mean, score
from loadtests.workloads import in_words
from loadtests.workloads.workload import Workload

STRATEGIES = ("queue", "lock", "reject")
BOUNDS = (1, 2, 4, 100)
WAITS_S = (1.0, 2.0, 4.0, 7.0, 60.0)
TOLERANCE = 0.03


@dataclass(frozen=True)
class Scenario:
    """Services take a second in the mean; `users` come in all, `rate` a second."""

    rate: float
    clients: str
    conversations: int
    backends: int | None
    target: str
    feasible: bool
    users: int = 80

    def traffic(self, first_seed: int, runs: int) -> tuple[Workload, ...]:
        return tuple(
            in_words.make_traffic(
                self.rate,
                in_words.parse_service("exponential:1s"),
                in_words.parse_clients(self.clients + ",timeout=10s,patience=30s", 1.0),
                duration_s=self.users / self.rate,
                conversations=self.conversations,
                backends=self.backends,
                seed=seed,
            )
            for seed in range(first_seed, first_seed + runs)
        )


USUAL = "p95 under 20s for 95% of users"
SCENARIOS = {
    "told, light": Scenario(0.5, "backoff", 1, None, USUAL, True),
    "told, overload, one try": Scenario(2.0, "give-up", 1, None, USUAL, False),
    "leaves, overload": Scenario(2.0, "backoff,silent", 1, None, USUAL, False),
    "silent, overload, one try": Scenario(2.0, "give-up,silent,stay", 1, None, USUAL, False),
    "silent, a little too much": Scenario(1.2, "openai,silent,stay", 1, None, USUAL, False),
    "a limit that binds": Scenario(
        1.2, "backoff,silent", 1, None, "p90 under 8s for 99% of users", False
    ),
    "many, slots are the question": Scenario(3.0, "backoff", 40, None, USUAL, True, users=120),
    "many, two backends, overload": Scenario(4.0, "backoff", 20, 2, USUAL, False),
    "many, two backends, nobody tells": Scenario(3.5, "openai,silent", 20, 2, USUAL, False),
    "many, four backends, light": Scenario(2.0, "give-up,silent", 20, 4, USUAL, True),
}


def outcome(setup: Setup, traffic: tuple[Workload, ...], target: Target) -> Score:
    runs = (simulate(setup.strategy, workload, limits=setup.limits) for workload in traffic)
    return mean([score(run, target) for run in runs])


def everything(slots: int) -> Iterator[Setup]:
    yield Setup("lock", slots)
    yield Setup("reject", slots)
    for bound, wait_s in product(BOUNDS, WAITS_S):
        yield Setup("queue", slots, bound, wait_s)


def advice_for(scenario: Scenario) -> Advice:
    traffic = Traffic(scenario.traffic(1, 12), scenario.traffic(101, 10))
    return recommend(STRATEGIES, traffic, Target.parse(scenario.target), lambda setup: None)


def short_of(target: Target, found: Score) -> float:
    """By how much it misses the target, as a share of users; 0 or less where it does not."""
    return max(target.share - found.served, -found.spare)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, each in SCENARIOS.items() if each.feasible])
def test_no_setup_meets_the_target_with_fewer_slots_than_the_recommended(name: str) -> None:
    scenario, target = SCENARIOS[name], Target.parse(SCENARIOS[name].target)
    fresh = scenario.traffic(201, 6)

    setup = advice_for(scenario).best.setup

    assert setup.strategy == "queue"
    assert short_of(target, outcome(setup, fresh, target)) <= TOLERANCE
    for fewer in everything(setup.slots - 1) if setup.slots > 1 else ():
        if "max_running" in fewer.settings:
            assert short_of(target, outcome(fewer, fresh, target)) > -TOLERANCE, fewer


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, each in SCENARIOS.items() if not each.feasible])
def test_no_setup_serves_clearly_more_than_the_recommended(name: str) -> None:
    scenario, target = SCENARIOS[name], Target.parse(SCENARIOS[name].target)
    fresh = scenario.traffic(201, 40)
    slots = range(1, most_slots(fresh) + 1)

    advice = advice_for(scenario)

    found = outcome(advice.best.setup, fresh, target)
    best = best_of({setup for n in slots for setup in everything(n)}, scenario, target)
    judged = outcome(best, fresh, target)
    assert not advice.meets_target
    # The limit comes first: what looked best on few runs may break it on fresh ones.
    assert judged.spare < 0 <= found.spare or judged.served - found.served <= TOLERANCE


def best_of(setups: set[Setup], scenario: Scenario, target: Target) -> Setup:
    """That serves most, of those whose percentile is under the limit, if there are any."""
    traffic = scenario.traffic(301, 4)
    found = {setup: outcome(setup, traffic, target) for setup in setups}
    punctual = {setup: each for setup, each in found.items() if each.spare >= 0} or found
    return max(punctual, key=lambda setup: (punctual[setup].served, str(setup)))
