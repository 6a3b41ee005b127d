"""Claim: what a strategy costs depends on how clients retry, and queue depends least."""

from __future__ import annotations

import pytest

from tests.evidence.support import clearly_less, clearly_more, effect, mean

pytestmark = pytest.mark.slow  # Statistics over ten seeds.

POLICIES = ("give-up", "fixed", "openai", "backoff")


@pytest.mark.parametrize("policy", POLICIES)
def test_queue_serves_more_users_in_time_than_reject_whatever_the_policy(policy: str) -> None:
    assert clearly_more(f"retrying-{policy}", "in_time", "queue", "reject", by=0.05)


@pytest.mark.parametrize("policy", ["fixed", "openai", "backoff"])
def test_retries_make_a_lock_work_for_nobody(policy: str) -> None:
    assert mean("lock", f"retrying-{policy}", "wasted") > 0.3


@pytest.mark.parametrize("policy", ["fixed", "openai", "backoff"])
def test_it_knows_retries_by_their_words_so_those_who_come_first_are_served_in_time(
    policy: str,
) -> None:
    assert clearly_more(f"retrying-{policy}", "in_time", "queue", "lock", by=0.1)


def test_with_clients_that_try_once_a_lock_serves_as_many_as_queue() -> None:
    """Of exponential services, where every second of work is worth the same."""
    assert abs(effect("retrying-give-up", "served", "queue", "lock").mean) < 0.02


@pytest.mark.parametrize("policy", ["fixed", "openai", "backoff"])
def test_clients_that_poll_make_reject_answer_many_requests_for_each_reply(policy: str) -> None:
    assert clearly_less(f"retrying-{policy}", "attempts", "queue", "reject", by=1.0)
    assert mean("reject", "retrying-fixed", "attempts") > 10
