"""Claims: a turn whose client left while it waited costs nothing, and its patience is learned."""

from __future__ import annotations

import asyncio

import pytest

from strategies.testing import Rig
from tests.evidence.support import clearly_less, clearly_more, effect, mean, play

statistics = pytest.mark.slow
"""Over ten seeds."""


@pytest.mark.parametrize("strategy", ["queue", "lock"])
def test_the_agent_is_never_called_for_a_client_that_left_while_it_waited(strategy: str) -> None:
    async def scene(rig: Rig) -> None:
        rig.submit(id="first")
        leaves = rig.submit(id="leaves")
        last = rig.submit(id="last")
        await asyncio.sleep(0.5)
        leaves.cancel()
        await last.reply()
        assert rig.calls == ["first", "last"]

    play(strategy, scene)


def test_the_classic_queue_dies_of_one_client_that_left() -> None:
    """Its worker sets the result of a cancelled future; every later turn waits for ever."""

    async def scene(rig: Rig) -> None:
        rig.submit(id="first").cancel()
        await asyncio.sleep(10)
        later = rig.submit(id="later")
        await asyncio.sleep(100)
        assert rig.calls == ["first"]
        assert later.state.value == "waiting"

    play("origin", scene)


@statistics
@pytest.mark.parametrize("retry", ["give-up", "backoff"])
def test_where_clients_only_leave_queue_serves_far_more_in_time_than_lock(retry: str) -> None:
    name = f"leaves {retry} 2 one lognormal"
    assert clearly_more(name, "in_time", "queue", "lock", by=0.1)
    assert clearly_more(name, "served", "queue", "lock", by=0.1)
    assert clearly_more(name, "goodput", "queue", "lock", by=0.2)


@statistics
@pytest.mark.parametrize("retry", ["give-up", "backoff"])
def test_where_clients_only_leave_queue_serves_more_in_time_than_reject(retry: str) -> None:
    assert clearly_more(f"leaves {retry} 2 one lognormal", "in_time", "queue", "reject", by=0.05)


@statistics
def test_clients_that_leave_after_little_more_than_one_turn_are_served_for_it_is_learned() -> None:
    assert clearly_more("tight", "in_time", "queue", "reject", by=0.05)
    assert clearly_more("tight", "served", "queue", "lock", by=0.6)
    assert clearly_more("tight", "served", "queue", "queue-no-patience", by=0.6)


@statistics
def test_memoryless_patience_is_no_reason_to_shed() -> None:
    """Whoever has waited long then waits on for as long as one who has just come."""
    assert abs(effect("impatient", "in_time", "queue", "lock").mean) < 0.02
    assert not clearly_less("impatient", "in_time", "queue", "lock", by=0.01)
    assert clearly_more("impatient", "in_time", "queue", "reject", by=0.1)


@statistics
def test_clients_that_come_and_go_leave_most_users_of_the_classic_queue_unserved() -> None:
    assert mean("origin", "impatient", "served") < 0.2
    assert clearly_more("impatient", "served", "queue", "origin")


@statistics
def test_an_unprotected_agent_works_on_for_clients_that_have_gone() -> None:
    assert mean("unprotected", "hot", "wasted") > 0.5
