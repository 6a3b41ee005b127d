"""What only reject promises: it refuses, and says when to come back."""

from __future__ import annotations

import asyncio

import pytest

from strategies import Attempt, ConversationBusy, Limits, Reply, Turn
from strategies.reject import Reject
from strategies.testing import run
from strategies.testing.stubborn import ignore_cancellation


def test_a_conversation_stays_busy_until_its_agent_has_stopped_and_the_time_told_shrinks() -> None:
    """I-1, I-13: cancelled or not, the agent holds it."""

    async def answer(turn: Turn, attempt: Attempt) -> Reply:
        await ignore_cancellation(4)
        return Reply("done")

    async def scenario() -> None:
        reject = Reject(answer, Limits())
        await reject.submit(Turn("1", "c", "hi")).reply()
        stuck = reject.submit(Turn("2", "c", "hi"))
        await asyncio.sleep(1)
        assert stuck.cancel()
        await asyncio.sleep(2)
        with pytest.raises(ConversationBusy) as refusal:
            reject.submit(Turn("3", "c", "hi"))
        assert refusal.value.retry_after_s == pytest.approx(1.0)
        await asyncio.sleep(1.1)
        reject.submit(Turn("4", "c", "hi"))

    run(scenario())
