"""Claim: an agent that hangs costs its own conversation, and no other."""

from __future__ import annotations

import asyncio

import pytest

from strategies import TurnTimeout
from strategies.testing import Rig
from tests.evidence.support import play

STRATEGIES = ("queue", "lock", "reject")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_stuck_turn_ends_at_its_limit_and_others_go_on(strategy: str) -> None:
    async def scene(rig: Rig) -> None:
        stuck = rig.submit("stubborn 1000", "one", id="stuck")
        with pytest.raises(TurnTimeout):
            await stuck.reply()
        await rig.submit(conversation="two", id="other").reply()
        assert "one" not in rig.kept

    play(strategy, scene, max_running=1, turn_timeout_s=5.0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_its_conversation_stays_fenced_until_it_really_stops(strategy: str) -> None:
    async def scene(rig: Rig) -> None:
        stuck = rig.submit("stubborn 1000", "one", id="stuck")
        with pytest.raises(TurnTimeout):
            await stuck.reply()
        assert rig.strategy.load().fenced == 1
        if strategy != "reject":
            rig.submit(conversation="one", id="next")
            await asyncio.sleep(10)
        assert rig.calls == ["stuck"]

    play(strategy, scene, turn_timeout_s=5.0)


def test_the_classic_queue_serves_nobody_while_its_agent_hangs() -> None:
    async def scene(rig: Rig) -> None:
        rig.submit("stubborn 1000", "one", id="stuck")
        rig.submit(conversation="two", id="other")
        await asyncio.sleep(100)
        assert rig.calls == ["stuck"]

    play("origin", scene, turn_timeout_s=5.0)
