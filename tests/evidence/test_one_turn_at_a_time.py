"""Claim: without a strategy an agent's history breaks; with any of them it does not."""

from __future__ import annotations

import pytest

from tests.evidence.support import faults, mean

STRATEGIES = ("queue", "lock", "reject")
WORKLOADS = ("burst", "overload-2", "impatient", "hot", "faulty")


@pytest.mark.parametrize("workload", WORKLOADS)
def test_without_a_strategy_turns_stand_on_stale_histories(workload: str) -> None:
    assert faults("unprotected", workload).stale > 0


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_strategy_loses_doubles_or_reorders_a_turn(strategy: str, workload: str) -> None:
    assert not faults(strategy, workload)


def test_lock_keeps_the_order_of_arrival_among_the_patient() -> None:
    assert mean("lock", "patient", "inversions") == 0


def test_queue_keeps_it_but_for_the_few_that_it_sheds_and_that_come_again() -> None:
    """They tell no deadline and never leave, so in a standing queue less is presumed of them."""
    assert 0 < mean("queue", "patient", "inversions") < 0.02
    assert mean("queue-no-presumption", "patient", "inversions") == 0


def test_reject_leaves_the_order_to_the_clients_luck() -> None:
    assert mean("reject", "patient", "inversions") > 0.05
