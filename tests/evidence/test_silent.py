"""Claim: nobody need tell a deadline, or leave, for the queue to stay useful under overload."""

from __future__ import annotations

import pytest

from tests.evidence.support import clearly_less, clearly_more, mean

pytestmark = pytest.mark.slow  # Statistics over ten seeds.

SILENT = ("silent give-up 2 one exponential", "silent give-up 4 one exponential")


@pytest.mark.parametrize("name", SILENT)
def test_of_silent_clients_queue_serves_far_more_in_time_than_lock(name: str) -> None:
    assert clearly_more(name, "in_time", "queue", "lock", by=0.1)
    assert clearly_more(name, "goodput", "queue", "lock", by=0.3)


def test_of_silent_clients_queue_serves_more_in_time_than_reject_up_to_a_load_of_2() -> None:
    """At a load of 4 somebody always comes just when a turn ends."""
    assert clearly_more(SILENT[0], "in_time", "queue", "reject", by=0.1)
    assert clearly_more(SILENT[0], "goodput", "queue", "reject", by=0.1)
    assert not clearly_less(SILENT[1], "in_time", "queue", "reject")


def test_so_it_does_where_they_wait_for_30_services() -> None:
    """What is presumed is not tuned to 10."""
    name = "silent give-up 2 one exponential 30"
    assert clearly_more(name, "in_time", "queue", "lock", by=0.1)


def test_where_they_wait_for_4_services_queue_is_no_worse_than_lock_and_reject_is_far_better() -> (
    None
):
    """Nobody tells the server, and for 10 or 30 services a longer line is right."""
    name = "silent give-up 2 one exponential 4"
    assert not clearly_less(name, "in_time", "queue", "lock")
    assert clearly_more(name, "in_time", "reject", "queue", by=0.1)


def test_of_fifty_silent_conversations_too() -> None:
    assert clearly_more("silent give-up 2 fifty lognormal", "in_time", "queue", "lock", by=0.2)


def test_without_the_presumption_it_would_be_a_long_line_like_any_other() -> None:
    bare = mean("queue-no-presumption", SILENT[0], "in_time")

    assert bare == mean("lock", SILENT[0], "in_time") < 0.2


def test_below_saturation_silence_costs_little() -> None:
    name = "silent give-up 0.8 one exponential"
    assert mean("lock", name, "in_time") - mean("queue", name, "in_time") < 0.04
    assert clearly_more(name, "in_time", "queue", "reject", by=0.2)
