"""What only reject promises: it refuses, and says when to come back."""

from __future__ import annotations

import asyncio

import pytest

from strategies import ConversationBusy
from strategies.reject import Reject
from strategies.testing import Rig, run


def test_a_conversation_stays_busy_until_its_agent_has_stopped_and_the_time_told_shrinks() -> None:
    """I-1, I-13: cancelled or not, the agent holds it."""

    async def scenario() -> None:
        rig = Rig(Reject)
        await rig.submit("stubborn 4").reply()
        stuck = rig.submit("stubborn 4")
        await asyncio.sleep(1)
        assert stuck.cancel()
        await asyncio.sleep(2)
        with pytest.raises(ConversationBusy) as refusal:
            rig.submit()
        assert refusal.value.retry_after_s == pytest.approx(1.0)
        await asyncio.sleep(1.1)
        rig.submit()

    run(scenario())
