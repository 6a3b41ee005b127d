"""Claims about the two strategies on top of the queue."""

from __future__ import annotations

import asyncio

import pytest

from strategies import TurnInterrupted
from tests.evidence.support import Stage, on_stage


def test_interrupt_answers_the_newest_message_without_a_wait() -> None:
    async def play(stage: Stage) -> None:
        old = stage.send("old")
        await asyncio.sleep(0.5)
        newest = stage.send("newest")
        with pytest.raises(TurnInterrupted):
            await old.reply()
        await newest.reply()
        assert newest.waited_s == pytest.approx(0.0, abs=0.01)

    on_stage("interrupt", play)


def test_merge_answers_five_messages_with_two_calls_of_the_agent() -> None:
    async def play(stage: Stage) -> None:
        tickets = [stage.send(str(number)) for number in range(5)]
        replies = {(await ticket.reply()).text for ticket in tickets}
        assert len(stage.began) == len(replies) == 2

    on_stage("merge", play)
