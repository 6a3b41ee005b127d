"""Claims against ourselves: where lock or reject is as good, or better."""

from __future__ import annotations

import asyncio

import pytest

from strategies.lock import Lock
from strategies.testing import Rig, run
from tests.evidence.support import clearly_more, effect, mean, values

statistics = pytest.mark.slow
"""Over ten seeds."""


@statistics
@pytest.mark.parametrize("measure", ["served", "goodput", "p50", "p95", "p99"])
def test_where_nobody_loses_patience_queue_and_lock_are_the_same(measure: str) -> None:
    assert values("queue", "patient", measure) == values("lock", "patient", measure)


@statistics
def test_lock_serves_as_many_of_those_who_try_once_though_its_agent_does_less_useful_work() -> None:
    """The queue keeps room for a turn of mean length, so it sends some away that were short."""
    assert not clearly_more("retrying-give-up", "served", "queue", "lock")
    assert clearly_more("retrying-give-up", "goodput", "queue", "lock")


@statistics
def test_lock_answers_more_in_time_where_service_times_have_a_heavy_tail() -> None:
    """A mean and a deviation say little about such times, so the queue's caution misjudges."""
    assert clearly_more("heavy-tail", "in_time", "lock", "queue")


@statistics
def test_reject_keeps_the_agent_as_busy_as_queue_does_under_the_heaviest_load() -> None:
    """With so many clients at the door, somebody is always there when a turn ends."""
    assert clearly_more("overload-4", "goodput", "reject", "queue")


@statistics
def test_reject_wins_by_far_where_clients_leave_after_little_more_than_one_turn() -> None:
    """Whoever waits is gone before the answer, and its turn runs for nobody."""
    assert clearly_more("tight", "served", "reject", "queue")
    assert effect("tight", "served", "reject", "queue").mean > 0.4


@statistics
def test_a_queue_that_is_told_no_deadline_is_as_bad_as_a_lock_under_overload() -> None:
    queue, lock = mean("queue", "silent", "in_time"), mean("lock", "silent", "in_time")

    assert abs(queue - lock) < 0.05
    assert queue < 0.5 * mean("reject", "silent", "in_time")


@statistics
def test_lock_is_as_kind_to_quiet_conversations_as_a_round_robin() -> None:
    """One turn of a conversation at a time is already most of fairness."""
    found = effect("hot", "quiet_p95", "queue", "lock")

    assert not (found.is_clear and found.mean < 0)


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
