"""Claim: what a strategy costs depends on how clients retry, and queue depends least."""

from __future__ import annotations

import pytest

from tests.evidence.support import clearly_more, mean

pytestmark = pytest.mark.slow  # Statistics over ten seeds.

POLICIES = ("give-up", "fixed", "openai", "backoff")


@pytest.mark.parametrize("policy", POLICIES)
def test_queue_serves_more_users_than_reject_whatever_the_policy(policy: str) -> None:
    assert clearly_more(f"retrying-{policy}", "served", "queue", "reject")


@pytest.mark.parametrize("policy", ["fixed", "openai", "backoff"])
def test_retries_make_a_lock_work_for_nobody(policy: str) -> None:
    assert mean("lock", f"retrying-{policy}", "wasted") > 0.3


def test_with_clients_that_try_once_a_lock_serves_as_many_as_queue() -> None:
    queue, lock = (mean(s, "retrying-give-up", "served") for s in ("queue", "lock"))

    assert abs(queue - lock) < 0.1


def test_reject_turns_the_openai_client_into_a_polling_loop() -> None:
    """Three requests for what one could have waited for, and still fewer users are served."""
    assert clearly_more("retrying-openai", "attempts", "reject", "queue")


def test_clients_that_poll_make_reject_answer_many_requests_for_each_reply() -> None:
    assert mean("reject", "retrying-fixed", "attempts") > 10
