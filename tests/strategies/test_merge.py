"""What only merge promises: what waits becomes one turn, and everyone gets its reply."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from strategies import Draining, State
from strategies.merge import Merge
from strategies.testing import run
from tests.strategies.talking import Talk, ending


def test_what_waits_runs_as_one_and_all_senders_get_that_reply() -> None:
    async def scenario() -> None:
        talk = Talk(Merge)
        first = talk.say("1 first")
        waiting = [talk.say(f"2 message{number}") for number in range(3)]
        assert [ticket.position for ticket in waiting] == [1, 1, 1]
        assert await ending(first) == (State.ANSWERED, "0")
        assert [await ending(ticket) for ticket in waiting] == [(State.ANSWERED, "0 1")] * 3
        assert talk.asked == ["1 first", "2 message0\n\n2 message1\n\n2 message2"]
        numbers = {(await ticket.reply()).number for ticket in waiting}
        assert numbers == {2}
        load = talk.strategy.load()
        assert (load.accepted, load.ended) == (4, {State.ANSWERED: 4})

    run(scenario())


def test_what_stands_between_the_messages_may_be_chosen() -> None:
    async def scenario() -> None:
        talk = Talk(partial(Merge, joined_by=" / "))
        talk.say("1 first")
        tickets = [talk.say("1 a"), talk.say("1 b")]
        await asyncio.gather(*map(ending, tickets))
        assert talk.asked[1] == "1 a / 1 b"

    run(scenario())


def test_one_that_leaves_while_it_waits_is_not_merged() -> None:
    async def scenario() -> None:
        talk = Talk(Merge)
        talk.say("1 first")
        a, b, c = talk.say("1 a"), talk.say("1 b"), talk.say("1 c")
        b.cancel()
        assert await ending(b) == (State.CANCELLED, "not_started")
        assert await ending(a) == await ending(c) == (State.ANSWERED, "0")
        assert talk.asked[1] == "1 a\n\n1 c"

    run(scenario())


def test_one_that_leaves_while_they_run_leaves_the_others_alone() -> None:
    async def scenario() -> None:
        talk = Talk(Merge)
        talk.say("1 first")
        a, b = talk.say("3 a"), talk.say("3 b")
        await asyncio.sleep(2)
        assert (a.state, b.state) == (State.RUNNING, State.RUNNING)
        assert talk.strategy.load().running == 2
        assert a.cancel()
        assert await ending(a) == (State.CANCELLED, "unknown")
        assert await ending(b) == (State.ANSWERED, "0 1 2")

    run(scenario())


def test_when_all_of_them_leave_the_agent_is_stopped() -> None:
    async def scenario() -> None:
        talk = Talk(Merge)
        talk.say("1 first")
        a, b = talk.say("9 a"), talk.say("9 b")
        await asyncio.sleep(2)
        a.cancel()
        b.cancel()
        assert await ending(a) == (State.CANCELLED, "unknown")
        assert await ending(b) == (State.CANCELLED, "rolled_back")
        assert await ending(talk.say("1 next")) == (State.ANSWERED, "0")
        assert [message for message, _ in talk.kept] == ["1 first", "1 next"]

    run(scenario())


def test_each_has_a_deadline_of_its_own() -> None:
    async def scenario() -> None:
        talk = Talk(Merge)
        talk.say("1 first")
        hurried, patient = talk.say("5 a", deadline_s=3.0), talk.say("5 b")
        assert await ending(hurried) == (State.EXPIRED, "unknown")
        assert hurried.waited_s + hurried.ran_s == pytest.approx(3.0)
        assert await ending(patient) == (State.ANSWERED, "0 1 2 3 4")

    run(scenario())


def test_a_shutdown_ends_all_of_them() -> None:
    async def scenario() -> None:
        talk = Talk(Merge)
        talk.say("1 first")
        tickets = [talk.say("9 a"), talk.say("9 b")]
        await asyncio.sleep(2)
        await talk.strategy.drain(1.0)
        for ticket in tickets:
            with pytest.raises(Draining):
                await ticket.reply()

    run(scenario())
