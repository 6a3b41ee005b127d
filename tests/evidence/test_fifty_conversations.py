"""Claim: of many conversations over few slots queue serves far more in time than the others.

A lock has no slots: its turns wait inside the agent, where nobody can send them away.
"""

from __future__ import annotations

import pytest

from tests.evidence.support import clearly_less, clearly_more

pytestmark = pytest.mark.slow  # Statistics over ten seeds.

TOLD = "told backoff 2 fifty azure-code"
LEAVES = "leaves give-up 2 fifty exponential"


@pytest.mark.parametrize(("name", "other"), [(TOLD, "lock"), (LEAVES, "lock"), (LEAVES, "lock-5")])
def test_queue_serves_far_more_in_time_than_a_lock_with_or_without_a_bound(
    name: str, other: str
) -> None:
    assert clearly_more(name, "in_time", "queue", other, by=0.1)
    assert clearly_more(name, "goodput", "queue", other, by=0.03)


def test_queue_serves_far_more_in_time_than_reject_of_those_who_try_again() -> None:
    assert clearly_more(TOLD, "in_time", "queue", "reject", by=0.1)
    assert clearly_less(TOLD, "attempts", "queue", "reject", by=1.0)


def test_what_the_start_check_buys_there_is_little() -> None:
    """A percent or so; it is the known retries that count."""
    assert not clearly_more(TOLD, "in_time", "queue", "queue-no-start-check", by=0.02)
    assert clearly_more(TOLD, "in_time", "queue", "queue-no-retries", by=0.1)
