"""Claim: where deadlines are told, queue loses nobody in time to lock, and wastes less work.

Reject, and locks that are taught to shed, keep the agent busier: see
`test_where_queue_does_not_win`.
"""

from __future__ import annotations

import pytest

from tests.evidence.support import clearly_less, clearly_more, mean

pytestmark = pytest.mark.slow  # Statistics over ten seeds.

LOADS = ("1.2", "2", "4")
RETRYING = ("openai", "backoff")
TOLD = tuple(f"told backoff {load} one exponential" for load in LOADS)


@pytest.mark.parametrize("retry", ["give-up", "backoff"])
@pytest.mark.parametrize("load", LOADS)
def test_in_time_queue_is_not_worse_than_lock(load: str, retry: str) -> None:
    assert not clearly_less(f"told {retry} {load} one exponential", "in_time", "queue", "lock")


@pytest.mark.parametrize("retry", RETRYING)
def test_it_serves_far_more_in_time_of_clients_who_try_again(retry: str) -> None:
    assert clearly_more(f"told {retry} 2 one exponential", "in_time", "queue", "lock", by=0.1)


@pytest.mark.parametrize("name", TOLD)
def test_queue_does_far_more_useful_work_than_lock(name: str) -> None:
    assert clearly_more(name, "goodput", "queue", "lock", by=0.1)
    assert clearly_more(name, "served", "queue", "lock")
    assert clearly_less(name, "wasted", "queue", "lock", by=0.1)


@pytest.mark.parametrize("service", ["lognormal", "azure-conv", "azure-code"])
def test_where_a_long_run_says_that_it_will_be_longer_still_the_start_check_alone_does_it(
    service: str,
) -> None:
    """Of exponential services every second of work is worth the same, so nothing is shed."""
    name = f"told give-up 2 one {service}"
    assert clearly_more(name, "in_time", "queue", "lock", by=0.02)
    assert clearly_more(name, "goodput", "queue", "lock", by=0.1)


@pytest.mark.parametrize("name", TOLD)
def test_queue_serves_more_users_in_time_than_reject_with_fewer_requests(name: str) -> None:
    assert clearly_more(name, "in_time", "queue", "reject", by=0.05)
    assert clearly_less(name, "attempts", "queue", "reject")


def test_all_users_are_served_only_while_the_load_is_below_one() -> None:
    assert mean("queue", "steady-0.5", "served") > 0.99
    assert mean("queue", TOLD[0], "served") < 0.95
    assert mean("queue", TOLD[2], "served") < 0.5


def test_the_goodput_of_a_lock_falls_as_the_load_grows() -> None:
    falling = [mean("lock", name, "goodput") for name in TOLD]

    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.3
