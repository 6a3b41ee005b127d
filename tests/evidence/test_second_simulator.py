"""Claim: the simulation is right. A second one, written from the definitions alone, agrees.

Both see the same schedules and the same luck of the clients. So they must agree exactly,
seed by seed, where no two events fall on the same instant; where they do (`reject` tells
several clients one instant) the order is chance, and the two agree within their intervals.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from random import Random
from statistics import fmean

import pytest

from loadtests.measures.figures import figures
from loadtests.measures.intervals import paired
from loadtests.measures.records import UserTurn
from loadtests.simulation.simulate import simulate as first
from loadtests.workloads.clients import Clients
from loadtests.workloads.draws import Draw, constant, exponential, lognormal, poisson
from loadtests.workloads.workload import Arrival, Workload
from tests.evidence.second_policies import simulate as second
from tests.evidence.second_simulator import Outcome

SEEDS = range(1, 21)
CLOSE = 0.01
UNIT_S = 0.1

SERVICES: dict[str, Draw] = {
    "constant": constant,
    "exponential": exponential,
    "lognormal": lognormal(1.0),
}
CLIENTS = {"told": (True, True), "leaves": (False, True), "silent": (False, False)}
"""Whether they tell a deadline, and whether they leave at their timeout."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One conversation, or fifty over four backends; times in units of the mean service."""

    strategy: str
    clients: str
    retry: str
    load: float
    conversations: int
    service: str

    def workload(self, seed: int) -> Workload:
        """Poisson arrivals.

        Timeout and patience are no whole numbers of services, or a client that comes back
        after each service time would reach its end of patience, and its timeout, at the
        same instant as the answer.
        """
        rng = Random(f"{self} {seed}")
        backends, horizon = (None, 100.0) if self.conversations == 1 else (4, 30.0)
        rate = self.load * (backends or 1)
        tells, leaves = CLIENTS[self.clients]
        arrivals = tuple(
            Arrival(
                at * UNIT_S,
                f"c{rng.randrange(self.conversations)}",
                round(SERVICES[self.service](rng) * UNIT_S, 6),
            )
            for at in poisson(lambda at: rate, horizon, rng)
        )
        clients = Clients(9.7, 29.3, self.retry, tells_deadline=tells, leaves=leaves)
        return Workload("cell", seed, UNIT_S, horizon * UNIT_S, clients, arrivals, backends)


def of_the_first(cell: Cell, seed: int) -> Outcome:
    """`served` counts here, other than in `figures`, what came within the attempt's timeout."""
    workload = cell.workload(seed)
    run = first(cell.strategy, workload)
    found = figures(run, workload)
    return Outcome(fmean(map(_served, run.turns)), found["in_time"], found["goodput"])


def _served(turn: UserTurn) -> bool:
    tried = turn.answer
    return tried is not None and tried.ended_s - tried.sent_s <= turn.timeout_s


def of_the_second(cell: Cell, seed: int) -> Outcome:
    return second(cell.strategy, cell.workload(seed))


EXACT = [
    Cell("lock", "told", "give-up", 2.0, 1, "exponential"),
    Cell("lock", "leaves", "backoff", 2.0, 1, "lognormal"),
    Cell("lock", "silent", "openai", 1.2, 1, "constant"),
    Cell("lock", "told", "fixed", 4.0, 1, "constant"),
    Cell("lock", "leaves", "openai", 2.0, 50, "exponential"),
    Cell("lock", "told", "backoff", 4.0, 50, "lognormal"),
    Cell("reject", "told", "give-up", 2.0, 1, "exponential"),
    Cell("reject", "leaves", "give-up", 0.8, 50, "lognormal"),
    Cell("reject", "silent", "fixed", 1.2, 1, "exponential"),
    Cell("reject", "leaves", "give-up", 4.0, 50, "constant"),
    Cell("queue", "told", "give-up", 2.0, 1, "exponential"),
    Cell("queue", "told", "give-up", 2.0, 50, "exponential"),
    Cell("queue", "leaves", "give-up", 2.0, 1, "exponential"),
    Cell("queue", "leaves", "give-up", 2.0, 50, "exponential"),
    Cell("queue", "leaves", "give-up", 1.2, 1, "lognormal"),
    Cell("queue", "silent", "give-up", 2.0, 1, "exponential"),
    Cell("queue", "silent", "give-up", 2.0, 50, "exponential"),
    Cell("queue", "silent", "give-up", 1.2, 1, "lognormal"),
    Cell("queue", "silent", "fixed", 2.0, 1, "exponential"),
    Cell("queue", "leaves", "fixed", 1.2, 1, "lognormal"),
    Cell("queue", "leaves", "openai", 0.8, 1, "lognormal"),
    Cell("queue", "told", "fixed", 0.8, 50, "exponential"),
]
# Not `reject` with hints where all services are equal: each hint then points at the very instant
# at which the turn ends, and whether a client comes just before or just after it is rounding.
WITHIN_INTERVALS = [
    Cell("reject", "told", "backoff", 2.0, 1, "exponential"),
    Cell("reject", "leaves", "openai", 4.0, 1, "lognormal"),
    Cell("reject", "silent", "openai", 1.2, 1, "exponential"),
    Cell("reject", "told", "backoff", 0.8, 1, "lognormal"),
    Cell("reject", "told", "openai", 2.0, 50, "exponential"),
    Cell("reject", "silent", "backoff", 4.0, 50, "lognormal"),
    Cell("queue", "told", "backoff", 1.2, 1, "lognormal"),
    Cell("queue", "leaves", "fixed", 2.0, 50, "exponential"),
    Cell("queue", "told", "backoff", 1.2, 50, "lognormal"),
]


@pytest.mark.parametrize("cell", EXACT, ids=str)
def test_both_simulators_agree_to_the_last_user(cell: Cell) -> None:
    for seed in SEEDS[:2]:
        assert astuple(of_the_second(cell, seed)) == pytest.approx(
            astuple(of_the_first(cell, seed)), abs=1e-9
        )


@pytest.mark.parametrize("cell", WITHIN_INTERVALS, ids=str)
def test_both_simulators_agree_within_their_intervals(cell: Cell) -> None:
    ones = [of_the_first(cell, seed) for seed in SEEDS]
    others = [of_the_second(cell, seed) for seed in SEEDS]
    for measure in Outcome.__slots__:
        one, other = ([getattr(each, measure) for each in side] for side in (ones, others))
        found = paired(one, other)
        assert found is not None
        print(f"{cell}: {measure} {fmean(one):.3f} {fmean(other):.3f}")
        assert abs(found.mean) < CLOSE or not found.is_clear, (measure, found)


def test_a_lock_with_other_rules_is_told_apart() -> None:
    """Or the comparison could not fail."""
    cell = Cell("lock", "told", "give-up", 2.0, 1, "exponential")
    for other in ("lock-5", "lock-half", "lock-check", "reject"):
        assert second(other, cell.workload(1)) != of_the_first(cell, 1)


@pytest.mark.parametrize("conversations", [1, 50])
def test_without_measure_of_patience_or_overload_the_queue_of_the_rules_is_one_fair_line(
    conversations: int,
) -> None:
    """It sheds nothing at half the load, where nobody tells a deadline or leaves."""
    cell = Cell("queue", "silent", "give-up", 0.5, conversations, "constant")
    workload = cell.workload(1)

    assert second("queue", workload) == second("global-queue", workload)


def test_the_queue_of_the_rules_sheds_in_overload_and_a_lock_does_not() -> None:
    workload = Cell("queue", "silent", "give-up", 2.0, 1, "exponential").workload(1)

    assert second("queue", workload).in_time > second("lock", workload).in_time + 0.1
