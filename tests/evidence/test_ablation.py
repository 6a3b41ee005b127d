"""Claim: each part of the policy has its clients, and elsewhere it does nothing.

`leaves` and `tight` are in `test_departed_client`, many conversations in
`test_fifty_conversations`.
"""

from __future__ import annotations

import pytest

from tests.evidence.support import clearly_more, mean, values

pytestmark = pytest.mark.slow  # Statistics over ten seeds.

RETRYING = "told backoff 2 one exponential"
ONCE = "told give-up 2 one lognormal"
SILENT = "silent give-up 2 one exponential"


@pytest.mark.parametrize("name", [RETRYING, ONCE, SILENT])
def test_without_any_of_them_queue_is_lock(name: str) -> None:
    for measure in ("served", "in_time", "goodput"):
        assert values("queue-bare", name, measure) == pytest.approx(
            values("lock", name, measure), abs=1e-9
        )


def test_known_retries_are_what_clients_that_try_again_need() -> None:
    assert clearly_more(RETRYING, "in_time", "queue", "queue-no-retries", by=0.1)
    assert values("queue", ONCE, "in_time") == values("queue-no-retries", ONCE, "in_time")


def test_the_start_check_is_what_clients_that_try_once_need() -> None:
    assert clearly_more(ONCE, "in_time", "queue", "queue-no-start-check", by=0.05)
    assert clearly_more(ONCE, "goodput", "queue", "queue-no-start-check", by=0.1)


def test_the_presumption_is_what_silent_clients_need() -> None:
    assert clearly_more(SILENT, "in_time", "queue", "queue-no-presumption", by=0.3)
    assert values("queue", ONCE, "in_time") == values("queue-no-presumption", ONCE, "in_time")


def test_that_it_waits_for_a_standing_queue_is_paid_for_in_steady_overload() -> None:
    """A burst is let through for it; at a load of 2 it would be better to begin at once."""
    early, late = (mean(each, SILENT, "goodput") for each in ("queue-no-standing", "queue"))
    assert late < early < late + 0.1


@pytest.mark.parametrize("name", [RETRYING, "told openai 1.2 one azure-code", "spike"])
def test_the_rule_before_served_far_fewer_in_time_of_those_who_try_again(name: str) -> None:
    assert clearly_more(name, "in_time", "queue", "queue-before", by=0.1)


def test_the_rule_before_did_nothing_for_clients_who_tell_no_deadline() -> None:
    for name in (SILENT, "leaves give-up 2 one lognormal"):
        assert values("queue-before", name, "in_time") == pytest.approx(
            values("lock", name, "in_time"), abs=1e-9
        )
