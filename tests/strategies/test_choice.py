"""What only choice promises: each turn by the strategy that it names, in one conversation."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from strategies import ConversationBusy, State
from strategies.choice import Choice
from strategies.testing import run
from tests.strategies.talking import Talk, ending


def test_each_turn_is_treated_as_it_asks() -> None:
    async def scenario() -> None:
        talk = Talk(Choice)
        running = talk.say("9 running")
        await asyncio.sleep(1.5)
        with pytest.raises(ConversationBusy):
            talk.say("1 impatient", "reject")
        queued = talk.say("1 queued", "enqueue")
        assert queued.position == 1
        newest = talk.say("1 newest", "rollback")
        assert await ending(running) == (State.INTERRUPTED, "rolled_back")
        assert await ending(queued) == (State.INTERRUPTED, "not_started")
        assert await ending(newest) == (State.ANSWERED, "0")

    run(scenario())


def test_interrupt_keeps_what_was_said() -> None:
    async def scenario() -> None:
        talk = Talk(Choice)
        running = talk.say("9 running")
        await asyncio.sleep(1.5)
        talk.say("1 newest", "interrupt")
        assert await ending(running) == (State.INTERRUPTED, "0")

    run(scenario())


def test_only_neighbours_that_say_so_are_merged_and_the_order_stays() -> None:
    async def scenario() -> None:
        talk = Talk(Choice)
        talk.say("1 first")
        waiting = [
            talk.say("1 a", "merge"),
            talk.say("1 b", "merge"),
            talk.say("1 c"),
            talk.say("1 d", "merge"),
        ]
        assert [ticket.position for ticket in waiting] == [1, 1, 2, 3]
        await asyncio.gather(*map(ending, waiting))
        assert talk.asked == ["1 first", "1 a\n\n1 b", "1 c", "1 d"]

    run(scenario())


def test_reject_is_accepted_where_nothing_runs_or_waits() -> None:
    async def scenario() -> None:
        talk = Talk(Choice)
        assert await ending(talk.say("1 alone", "reject")) == (State.ANSWERED, "0")
        assert talk.strategy.load().refused == 0

    run(scenario())


def test_those_that_say_nothing_get_the_default() -> None:
    async def scenario() -> None:
        talk = Talk(partial(Choice, default="reject"))
        talk.say("1 first")
        with pytest.raises(ConversationBusy):
            talk.say("1 second")
        assert talk.say("1 third", "queue").position == 1

    run(scenario())


def test_a_name_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        Talk(partial(Choice, default="hurry"))

    async def scenario() -> None:
        with pytest.raises(ValueError, match="no strategy 'hurry'"):
            Talk(Choice).say("1 x", "hurry")

    run(scenario())
