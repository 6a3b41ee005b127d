"""Claims against ourselves: where lock or reject, plain or taught to shed, is as good or better."""

from __future__ import annotations

import asyncio

import pytest

from strategies.lock import Lock
from strategies.testing import Rig, run
from tests.evidence.support import clearly_less, clearly_more, effect, values

statistics = pytest.mark.slow
"""Over ten seeds."""

RETRYING = "told backoff 2 one exponential"
ONCE = "told give-up 2 one exponential"
SILENT = "silent give-up 2 one exponential"


# Lock.


@statistics
@pytest.mark.parametrize("measure", ["served", "in_time"])
def test_lock_serves_as_many_of_those_who_try_once_where_services_are_exponential(
    measure: str,
) -> None:
    assert abs(effect(ONCE, measure, "queue", "lock").mean) < 0.02


@statistics
@pytest.mark.parametrize("measure", ["served", "in_time", "goodput"])
def test_at_half_the_load_lock_and_queue_are_the_same(measure: str) -> None:
    name = "told give-up 0.5 one exponential"
    assert abs(effect(name, measure, "queue", "lock").mean) < 0.01


def test_a_lock_can_count_its_waiters() -> None:
    """The claim that it cannot is wrong: three lines around it do."""

    async def live() -> None:
        rig = Rig(Lock)
        for _ in range(5):
            rig.submit()
        await asyncio.sleep(0.5)
        assert (rig.strategy.load().running, rig.strategy.load().waiting) == (1, 4)
        await rig.strategy.drain(10)

    run(live())


@statistics
def test_lock_is_as_kind_to_quiet_conversations_as_a_round_robin() -> None:
    """One turn of a conversation at a time is already most of fairness."""
    found = effect("hot", "quiet_p95", "queue", "lock")

    assert not (found.is_clear and found.mean < 0)


# Locks that are taught to shed.


@statistics
@pytest.mark.parametrize("taught", ["lock-5", "lock-half"])
def test_where_deadlines_are_told_a_lock_that_sheds_serves_as_many_with_less_work(
    taught: str,
) -> None:
    """Of one conversation. In time it serves fewer of those who try again, see the next test."""
    for name in (RETRYING, ONCE):
        assert not clearly_less(name, "served", taught, "queue", by=0.03)
        assert clearly_more(name, "goodput", taught, "queue", by=0.2)
    assert not clearly_less(ONCE, "in_time", taught, "queue", by=0.03)


@statistics
@pytest.mark.parametrize("taught", ["lock-5", "lock-half"])
def test_but_of_those_who_try_again_it_serves_far_fewer_in_time(taught: str) -> None:
    assert clearly_less(RETRYING, "in_time", taught, "queue", by=0.1)


@statistics
def test_a_bound_of_five_does_as_well_for_silent_clients_of_one_conversation() -> None:
    assert not clearly_more(SILENT, "in_time", "queue", "lock-5")


@statistics
def test_but_no_bound_is_right_for_every_patience() -> None:
    """Five wait too long for those who leave after 1.3 services."""
    assert clearly_less("tight", "served", "lock-5", "queue", by=0.6)


@statistics
def test_and_half_a_deadline_needs_one_that_is_told() -> None:
    assert values("lock-half", SILENT, "in_time") == values("lock", SILENT, "in_time")
    assert clearly_less("leaves backoff 2 one lognormal", "in_time", "lock-half", "queue", by=0.1)


# Reject.


@statistics
def test_reject_keeps_its_agent_busier_with_useful_work_where_clients_try_again() -> None:
    """It starts each turn with the whole of its deadline left."""
    for load in ("2", "4"):
        name = f"told backoff {load} one exponential"
        assert clearly_more(name, "goodput", "reject", "queue", by=0.2)


@statistics
def test_reject_serves_as_many_in_the_end_of_those_who_try_again() -> None:
    assert not clearly_more(RETRYING, "served", "queue", "reject", by=0.05)


@statistics
def test_reject_loses_nothing_where_clients_leave_after_little_more_than_one_turn() -> None:
    """Nobody can wait there; and until queue has learned it, some of its work is for nobody."""
    assert 0.0 < effect("tight", "served", "reject", "queue").mean < 0.05
    assert clearly_more("tight", "goodput", "reject", "queue")
