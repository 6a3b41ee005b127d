"""What only merge promises: what waits becomes one turn, and everyone gets its reply."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from strategies import Draining, State
from strategies.registry import merge
from strategies.testing import Rig, ended, run
from tests.strategies.places import position_of


def test_what_waits_runs_as_one_and_all_senders_get_that_reply() -> None:
    async def scenario() -> None:
        rig = Rig(merge)
        first = rig.submit("say 1 first")
        waiting = [rig.submit(f"say 2 message{number}") for number in range(3)]
        assert [position_of(ticket) for ticket in waiting] == [1, 1, 1]
        assert await ended(first) == (State.ANSWERED, "0")
        assert [await ended(ticket) for ticket in waiting] == [(State.ANSWERED, "0 1")] * 3
        assert rig.messages == ["say 1 first", "say 2 message0\n\nsay 2 message1\n\nsay 2 message2"]
        numbers = {(await ticket.reply()).number for ticket in waiting}
        assert numbers == {2}
        load = rig.strategy.load()
        assert (load.accepted, load.ended) == (4, {State.ANSWERED: 4})

    run(scenario())


def test_what_stands_between_the_messages_may_be_chosen() -> None:
    async def scenario() -> None:
        rig = Rig(partial(merge, joined_by=" / "))
        rig.submit("say 1 first")
        tickets = [rig.submit("say 1 a"), rig.submit("say 1 b")]
        await asyncio.gather(*map(ended, tickets))
        assert rig.messages[1] == "say 1 a / say 1 b"

    run(scenario())


def test_one_that_leaves_while_it_waits_is_not_merged() -> None:
    async def scenario() -> None:
        rig = Rig(merge)
        rig.submit("say 1 first")
        a, b, c = rig.submit("say 1 a"), rig.submit("say 1 b"), rig.submit("say 1 c")
        b.cancel()
        assert await ended(b) == (State.CANCELLED, "not_started")
        assert await ended(a) == await ended(c) == (State.ANSWERED, "0")
        assert rig.messages[1] == "say 1 a\n\nsay 1 c"

    run(scenario())


def test_one_that_leaves_while_they_run_leaves_the_others_alone() -> None:
    async def scenario() -> None:
        rig = Rig(merge)
        rig.submit("say 1 first")
        a, b = rig.submit("say 3 a"), rig.submit("say 3 b")
        await asyncio.sleep(2)
        assert (a.state, b.state) == (State.RUNNING, State.RUNNING)
        assert rig.strategy.load().running == 2
        assert a.cancel()
        assert await ended(a) == (State.CANCELLED, "unknown")
        assert await ended(b) == (State.ANSWERED, "0 1 2")

    run(scenario())


def test_when_all_of_them_leave_the_agent_is_stopped() -> None:
    async def scenario() -> None:
        rig = Rig(merge)
        rig.submit("say 1 first")
        a, b = rig.submit("say 9 a"), rig.submit("say 9 b")
        await asyncio.sleep(2)
        a.cancel()
        b.cancel()
        assert await ended(a) == (State.CANCELLED, "unknown")
        assert await ended(b) == (State.CANCELLED, "rolled_back")
        assert await ended(rig.submit("say 1 next")) == (State.ANSWERED, "0")
        assert rig.kept == {"c": ["t1", "t4"]}

    run(scenario())


def test_each_has_a_deadline_of_its_own() -> None:
    async def scenario() -> None:
        rig = Rig(merge)
        rig.submit("say 1 first")
        hurried, patient = rig.submit("say 5 a", deadline_s=3.0), rig.submit("say 5 b")
        assert await ended(hurried) == (State.EXPIRED, "unknown")
        assert hurried.waited_s + hurried.ran_s == pytest.approx(3.0)
        assert await ended(patient) == (State.ANSWERED, "0 1 2 3 4")

    run(scenario())


def test_a_shutdown_ends_all_of_them() -> None:
    async def scenario() -> None:
        rig = Rig(merge)
        rig.submit("say 1 first")
        tickets = [rig.submit("say 9 a"), rig.submit("say 9 b")]
        await asyncio.sleep(2)
        await rig.strategy.drain(1.0)
        for ticket in tickets:
            with pytest.raises(Draining):
                await ticket.reply()

    run(scenario())


def test_those_that_are_stopped_together_are_told_what_became_of_all() -> None:
    """It is unknown only where the message of one goes on with those of others."""

    async def scenario() -> None:
        rig = Rig(merge)
        rig.submit("say 1 first")
        tickets = [rig.submit("say 9 a"), rig.submit("say 9 b")]
        await asyncio.sleep(2)
        rig.submit("say 1 newest", strategy="rollback")
        for ticket in tickets:
            assert await ended(ticket) == (State.INTERRUPTED, "rolled_back")

    run(scenario())


def test_what_would_be_too_long_together_runs_one_after_the_other_in_order() -> None:
    async def scenario() -> None:
        rig = Rig(partial(merge, max_merged_bytes=20))
        first = rig.submit("say 1 first")
        tickets = [rig.submit(f"say 1 {letter}") for letter in "abcde"]
        assert [position_of(ticket) for ticket in tickets] == [1, 1, 2, 2, 3]
        await asyncio.gather(*map(ended, [first, *tickets]))
        assert rig.messages[1:] == ["say 1 a\n\nsay 1 b", "say 1 c\n\nsay 1 d", "say 1 e"]

    run(scenario())


def test_a_message_that_is_too_long_to_be_merged_runs_alone() -> None:
    async def scenario() -> None:
        rig = Rig(partial(merge, max_merged_bytes=20))
        rig.submit("say 1 first")
        long = "say 1 " + "long" * 10
        tickets = [rig.submit("say 1 a"), rig.submit(long), rig.submit("say 1 b")]
        await asyncio.gather(*map(ended, tickets))
        assert rig.messages[1:] == ["say 1 a", long, "say 1 b"]

    run(scenario())


def test_what_is_merged_is_bounded_in_bytes_and_not_in_characters() -> None:
    async def scenario() -> None:
        rig = Rig(partial(merge, max_merged_bytes=100))
        rig.submit("say 1 first")
        tickets = [rig.submit("say 1 " + "\N{SNOWMAN}" * 10) for _ in range(9)]
        await asyncio.gather(*map(ended, tickets))
        assert all(len(message.encode()) <= 100 for message in rig.messages)

    run(scenario())
