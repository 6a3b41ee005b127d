"""What only interrupt promises: the newest message takes the place of the one that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

import pytest

from strategies import ConversationQueueFull, Limits, State, TurnInterrupted, TurnTimeout
from strategies.registry import interrupt
from strategies.testing import Rig, ended, run
from tests.strategies.places import position_of

KEEP, ROLLBACK = partial(interrupt, said="keep"), partial(interrupt, said="rollback")
WAITING_STAY = partial(interrupt, waiting="keep")


def virtually(scenario: Coroutine[Any, Any, None]) -> None:
    run(scenario)


def test_the_newest_message_stops_the_running_turn_and_what_it_said_is_kept() -> None:
    async def scenario() -> None:
        rig = Rig(KEEP)
        first = rig.submit("say 9 long")
        await asyncio.sleep(2.5)
        second = rig.submit("say 1 short")
        assert await ended(first) == (State.INTERRUPTED, "0 1")
        assert await ended(second) == (State.ANSWERED, "0")
        assert rig.kept == {"c": [first.turn.id, second.turn.id]}
        assert second.waited_s == pytest.approx(0.1)  # Until what was said was kept.
        assert rig.strategy.load().ended == {State.INTERRUPTED: 1, State.ANSWERED: 1}

    virtually(scenario())


def test_the_running_turn_may_be_rolled_back_instead() -> None:
    async def scenario() -> None:
        rig = Rig(ROLLBACK)
        first = rig.submit("say 9 long")
        await asyncio.sleep(2.5)
        second = rig.submit("say 1 short")
        assert await ended(first) == (State.INTERRUPTED, "rolled_back")
        assert await ended(second) == (State.ANSWERED, "0")
        assert rig.kept == {"c": [second.turn.id]}

    virtually(scenario())


def test_a_turn_that_has_said_nothing_yet_is_rolled_back() -> None:
    async def scenario() -> None:
        rig = Rig(KEEP)
        first = rig.submit("say 9 long")
        await asyncio.sleep(0.5)
        rig.submit("say 1 short")
        assert await ended(first) == (State.INTERRUPTED, "rolled_back")

    virtually(scenario())


def test_a_turn_whose_agent_was_not_called_yet_did_not_start() -> None:
    async def scenario() -> None:
        for factory in (KEEP, ROLLBACK):
            rig = Rig(factory)
            first, second = rig.submit("say 9 long"), rig.submit("say 1 short")
            assert await ended(first) == (State.INTERRUPTED, "not_started")
            assert await ended(second) == (State.ANSWERED, "0")
            assert rig.messages == ["say 1 short"]

    virtually(scenario())


def test_what_waits_in_between_is_dropped() -> None:
    async def scenario() -> None:
        rig = Rig(KEEP)
        rig.submit("keep 4")
        await asyncio.sleep(2)
        between, newest = rig.submit("say 1 between"), rig.submit("say 1 newest")
        assert await ended(between) == (State.INTERRUPTED, "not_started")
        assert await ended(newest) == (State.ANSWERED, "0")
        assert "say 1 between" not in rig.messages

    virtually(scenario())


def test_or_it_keeps_its_place_before_the_newest() -> None:
    async def scenario() -> None:
        rig = Rig(WAITING_STAY)
        rig.submit("keep 4")
        await asyncio.sleep(2)
        between, newest = rig.submit("say 1 between"), rig.submit("say 1 newest")
        assert (position_of(between), position_of(newest)) == (1, 2)
        assert await ended(between) == (State.ANSWERED, "0")
        assert await ended(newest) == (State.ANSWERED, "0")

    virtually(scenario())


def test_a_reply_that_is_being_kept_is_not_interrupted() -> None:
    async def scenario() -> None:
        rig = Rig(ROLLBACK)
        first = rig.submit("keep 4")
        await asyncio.sleep(2)
        second = rig.submit("say 1 next")
        assert await ended(first) == (State.ANSWERED, "t1")
        assert await ended(second) == (State.ANSWERED, "0")

    virtually(scenario())


def test_a_refused_message_interrupts_nothing() -> None:
    async def scenario() -> None:
        rig = Rig(KEEP, Limits(max_waiting_per_conversation=0))
        first = rig.submit("say 3 first")
        await asyncio.sleep(1.5)
        with pytest.raises(ConversationQueueFull):
            rig.submit("say 1 second")
        assert await ended(first) == (State.ANSWERED, "0 1 2")

    virtually(scenario())


def test_the_newest_takes_the_place_of_the_dropped_though_the_line_is_full() -> None:
    async def scenario() -> None:
        rig = Rig(KEEP, Limits(max_waiting_per_conversation=1, max_waiting=1))
        rig.submit("keep 4")
        await asyncio.sleep(2)
        tickets = [rig.submit(f"say 1 {number}") for number in range(5)]
        endings = [await ended(ticket) for ticket in tickets]
        assert [state for state, _ in endings] == [State.INTERRUPTED] * 4 + [State.ANSWERED]

    virtually(scenario())


def test_an_agent_that_does_not_stop_keeps_its_conversation_and_the_newest_waits() -> None:
    async def scenario() -> None:
        for factory in (KEEP, ROLLBACK):
            rig = Rig(factory)
            stuck = rig.submit("stubborn 10")
            await asyncio.sleep(1)
            newest = rig.submit("say 1 newest")
            assert await ended(stuck) == (State.INTERRUPTED, "rolled_back")
            assert stuck.ran_s <= 2.0
            assert rig.strategy.load().fenced == 1
            assert await ended(newest) == (State.ANSWERED, "0")
            assert newest.waited_s == pytest.approx(9.0)

    virtually(scenario())


def test_a_short_deadline_is_no_reason_to_refuse_what_makes_room_for_itself() -> None:
    """The queue would say that the running turn takes too long."""

    async def scenario() -> None:
        rig = Rig(ROLLBACK)
        await ended(rig.submit("say 5 measured"))
        rig.submit("say 5 running")
        await asyncio.sleep(1)
        assert await ended(rig.submit("say 1 hurried", deadline_s=8.0)) == (State.ANSWERED, "0")

    virtually(scenario())


def test_a_deadline_that_passes_during_the_interruption_counts() -> None:
    async def scenario() -> None:
        rig = Rig(KEEP)
        stuck = rig.submit("stubborn 10", deadline_s=1.5)
        await asyncio.sleep(1)
        rig.submit("say 1 newest")
        with pytest.raises(TurnTimeout):
            await stuck.reply()

    virtually(scenario())


def test_the_error_says_that_another_took_its_place() -> None:
    async def scenario() -> None:
        rig = Rig(ROLLBACK)
        first = rig.submit("say 9 long")
        await asyncio.sleep(1)
        rig.submit("say 1 short")
        with pytest.raises(TurnInterrupted, match="A newer turn"):
            await first.reply()

    virtually(scenario())


@pytest.mark.parametrize("options", [{"said": "forget"}, {"waiting": "maybe"}])
def test_an_option_that_means_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Rig(partial(interrupt, **options))
