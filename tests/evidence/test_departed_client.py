"""Claim: a turn whose client has left while it waited costs the agent nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.evidence.support import Stage, clearly_more, mean, on_stage


@pytest.mark.parametrize("strategy", ["queue", "lock"])
def test_the_agent_is_never_called_for_a_client_that_left_while_it_waited(strategy: str) -> None:
    async def play(stage: Stage) -> None:
        stage.send("first")
        leaves = stage.send("leaves")
        last = stage.send("last")
        await asyncio.sleep(0.5)
        leaves.cancel()
        await last.reply()
        assert stage.began == ["first", "last"]

    on_stage(strategy, play)


def test_the_classic_queue_dies_of_one_client_that_left() -> None:
    """Its worker sets the result of a cancelled future; every later turn waits for ever."""

    async def play(stage: Stage) -> None:
        stage.send("first").cancel()
        await asyncio.sleep(10)
        later = stage.send("later")
        await asyncio.sleep(100)
        assert stage.began == ["first"]
        assert later.state.value == "waiting"

    on_stage("origin", play)


@pytest.mark.slow  # Statistics over ten seeds.
def test_clients_that_come_and_go_leave_most_users_of_the_classic_queue_unserved() -> None:
    assert mean("origin", "impatient", "served") < 0.2
    assert clearly_more("impatient", "served", "queue", "origin")


@pytest.mark.slow  # Statistics over ten seeds.
def test_an_unprotected_agent_works_on_for_clients_that_have_gone() -> None:
    assert mean("unprotected", "hot", "wasted") > 0.5
