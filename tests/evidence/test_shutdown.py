"""Claim: at a shutdown what waits is told so at once, and what runs may end."""

from __future__ import annotations

import asyncio

import pytest

from strategies import Draining
from tests.evidence.support import Stage, on_stage


@pytest.mark.parametrize("strategy", ["queue", "lock"])
def test_waiting_turns_are_refused_at_once_and_the_running_one_is_answered(strategy: str) -> None:
    async def play(stage: Stage) -> None:
        running, waiting = stage.send("running"), stage.send("waiting")
        await asyncio.sleep(0.5)
        draining = asyncio.create_task(stage.strategy.drain(30))
        with pytest.raises(Draining) as refusal:
            async with asyncio.timeout(0.1):
                await waiting.reply()
        assert refusal.value.outcome == "not_started"
        assert (await running.reply()).text == "reply to running"
        await draining
        assert stage.began == ["running"]

    on_stage(strategy, play)


def test_the_classic_queue_breaks_off_what_runs() -> None:
    async def play(stage: Stage) -> None:
        running = stage.send("running")
        await asyncio.sleep(0.5)
        await stage.strategy.drain(30)
        with pytest.raises(Draining):
            await running.reply()
        assert stage.ended == []

    on_stage("origin", play)
