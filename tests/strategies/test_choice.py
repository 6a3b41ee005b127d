"""What only a choice for each turn promises: it does what it asks for, in one conversation."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from strategies import ConversationBusy, State
from strategies.queue import Queue
from strategies.testing import Rig, ended, run
from tests.strategies.places import position_of


def test_each_turn_is_treated_as_it_asks() -> None:
    async def scenario() -> None:
        rig = Rig(Queue)
        running = rig.submit("say 9 running")
        await asyncio.sleep(1.5)
        with pytest.raises(ConversationBusy):
            rig.submit("say 1 impatient", strategy="reject")
        queued = rig.submit("say 1 queued", strategy="enqueue")
        assert position_of(queued) == 1
        newest = rig.submit("say 1 newest", strategy="rollback")
        assert await ended(running) == (State.INTERRUPTED, "rolled_back")
        assert await ended(queued) == (State.INTERRUPTED, "not_started")
        assert await ended(newest) == (State.ANSWERED, "0")

    run(scenario())


def test_interrupt_keeps_what_was_said() -> None:
    async def scenario() -> None:
        rig = Rig(Queue)
        running = rig.submit("say 9 running")
        await asyncio.sleep(1.5)
        rig.submit("say 1 newest", strategy="interrupt")
        assert await ended(running) == (State.INTERRUPTED, "0")

    run(scenario())


def test_only_neighbours_that_say_so_are_merged_and_the_order_stays() -> None:
    async def scenario() -> None:
        rig = Rig(Queue)
        rig.submit("say 1 first")
        waiting = [
            rig.submit("say 1 a", strategy="merge"),
            rig.submit("say 1 b", strategy="merge"),
            rig.submit("say 1 c"),
            rig.submit("say 1 d", strategy="merge"),
        ]
        assert [position_of(ticket) for ticket in waiting] == [1, 1, 2, 3]
        await asyncio.gather(*map(ended, waiting))
        assert rig.messages == ["say 1 first", "say 1 a\n\nsay 1 b", "say 1 c", "say 1 d"]

    run(scenario())


def test_reject_is_accepted_where_nothing_runs_or_waits() -> None:
    async def scenario() -> None:
        rig = Rig(Queue)
        assert await ended(rig.submit("say 1 alone", strategy="reject")) == (State.ANSWERED, "0")
        assert rig.strategy.load().refused == 0

    run(scenario())


def test_those_that_say_nothing_get_the_default() -> None:
    async def scenario() -> None:
        rig = Rig(partial(Queue, on_busy="reject"))
        rig.submit("say 1 first")
        with pytest.raises(ConversationBusy):
            rig.submit("say 1 second")
        assert position_of(rig.submit("say 1 third", strategy="queue")) == 1

    run(scenario())


def test_a_name_that_is_not_known_is_refused() -> None:
    unknown: Any = "hurry"
    with pytest.raises(ValueError, match="must be one of"):
        Rig(partial(Queue, on_busy=unknown))

    async def scenario() -> None:
        with pytest.raises(ValueError, match="must be one of queue, enqueue"):
            Rig(Queue).submit("say 1 x", strategy="hurry")

    run(scenario())
