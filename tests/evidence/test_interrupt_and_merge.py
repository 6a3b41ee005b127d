"""Claims about the two strategies on top of the queue."""

from __future__ import annotations

import asyncio

import pytest

from strategies import TurnInterrupted
from strategies.testing import Rig
from tests.evidence.support import play


def test_interrupt_answers_the_newest_message_without_a_wait() -> None:
    async def scene(rig: Rig) -> None:
        old = rig.submit(id="old")
        await asyncio.sleep(0.5)
        newest = rig.submit(id="newest")
        with pytest.raises(TurnInterrupted):
            await old.reply()
        await newest.reply()
        assert newest.waited_s == pytest.approx(0.0, abs=0.01)

    play("interrupt", scene)


def test_merge_answers_five_messages_with_two_calls_of_the_agent() -> None:
    async def scene(rig: Rig) -> None:
        tickets = [rig.submit(id=str(number)) for number in range(5)]
        replies = {(await ticket.reply()).text for ticket in tickets}
        assert len(rig.messages) == len(replies) == 2

    play("merge", scene)
