"""Claim: a turn whose client has left while it waited costs the agent nothing."""

from __future__ import annotations

import asyncio

import pytest

from strategies.testing import Rig
from tests.evidence.support import clearly_more, mean, play


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


@pytest.mark.slow  # Statistics over ten seeds.
def test_clients_that_come_and_go_leave_most_users_of_the_classic_queue_unserved() -> None:
    assert mean("origin", "impatient", "served") < 0.2
    assert clearly_more("impatient", "served", "queue", "origin")


@pytest.mark.slow  # Statistics over ten seeds.
def test_an_unprotected_agent_works_on_for_clients_that_have_gone() -> None:
    assert mean("unprotected", "hot", "wasted") > 0.5
