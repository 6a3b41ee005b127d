"""Claim: an agent that hangs costs its own conversation, and no other."""

from __future__ import annotations

import asyncio

import pytest

from strategies import TurnTimeout
from tests.evidence.support import Stage, on_stage

STRATEGIES = ("queue", "lock", "reject")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_stuck_turn_ends_at_its_limit_and_others_go_on(strategy: str) -> None:
    async def play(stage: Stage) -> None:
        stuck = stage.send("stuck", "one", "ignores being told to stop")
        with pytest.raises(TurnTimeout):
            await stuck.reply()
        await stage.send("other", "two").reply()
        assert "stuck" not in stage.ended

    on_stage(strategy, play, max_running=1, turn_timeout_s=5.0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_its_conversation_stays_fenced_until_it_really_stops(strategy: str) -> None:
    async def play(stage: Stage) -> None:
        stuck = stage.send("stuck", "one", "ignores being told to stop")
        with pytest.raises(TurnTimeout):
            await stuck.reply()
        assert stage.strategy.load().fenced == 1
        if strategy != "reject":
            stage.send("next", "one")
            await asyncio.sleep(10)
        assert stage.began == ["stuck"]

    on_stage(strategy, play, turn_timeout_s=5.0)


def test_the_classic_queue_serves_nobody_while_its_agent_hangs() -> None:
    async def play(stage: Stage) -> None:
        stage.send("stuck", "one", "ignores being told to stop")
        stage.send("other", "two")
        await asyncio.sleep(100)
        assert stage.began == ["stuck"]

    on_stage("origin", play, turn_timeout_s=5.0)
