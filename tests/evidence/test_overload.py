"""Claim: under overload a queue that knows deadlines keeps the agent at useful work."""

from __future__ import annotations

import pytest

from tests.evidence.support import clearly_more, mean

pytestmark = pytest.mark.slow  # Statistics over ten seeds.

OVERLOADS = ("overload-1.2", "overload-2", "overload-4")


@pytest.mark.parametrize("workload", OVERLOADS)
def test_queue_does_more_useful_work_than_lock(workload: str) -> None:
    assert clearly_more(workload, "goodput", "queue", "lock")
    assert clearly_more(workload, "served", "queue", "lock")


@pytest.mark.parametrize("workload", OVERLOADS)
def test_a_lock_spends_much_of_the_agent_on_clients_that_have_gone(workload: str) -> None:
    assert mean("lock", workload, "wasted") > 0.3
    assert mean("queue", workload, "wasted") < 0.15


@pytest.mark.parametrize("workload", ["overload-1.2", "overload-2"])
def test_queue_serves_more_users_than_reject_with_fewer_requests(workload: str) -> None:
    assert clearly_more(workload, "served", "queue", "reject")
    assert clearly_more(workload, "attempts", "reject", "queue")


def test_all_users_are_served_only_while_the_load_is_below_one() -> None:
    assert mean("queue", "steady-0.5", "served") > 0.99
    assert mean("queue", "overload-1.2", "served") < 0.9
    assert mean("queue", "overload-4", "served") < 0.5


def test_the_goodput_of_a_lock_falls_as_the_load_grows() -> None:
    falling = [mean("lock", workload, "goodput") for workload in OVERLOADS]

    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.4


def test_the_goodput_of_queue_stays_near_capacity() -> None:
    assert min(mean("queue", workload, "goodput") for workload in OVERLOADS) > 0.85
