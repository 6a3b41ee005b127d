"""Claim: at a shutdown what waits is told so at once, and what runs may end."""

from __future__ import annotations

import asyncio

import pytest

from strategies import Draining
from strategies.testing import Rig
from tests.evidence.support import play


@pytest.mark.parametrize("strategy", ["queue", "lock"])
def test_waiting_turns_are_refused_at_once_and_the_running_one_is_answered(strategy: str) -> None:
    async def scene(rig: Rig) -> None:
        running, waiting = rig.submit(id="running"), rig.submit(id="waiting")
        await asyncio.sleep(0.5)
        draining = asyncio.create_task(rig.strategy.drain(30))
        with pytest.raises(Draining) as refusal:
            async with asyncio.timeout(0.1):
                await waiting.reply()
        assert refusal.value.outcome == "not_started"
        assert (await running.reply()).text == "running"
        await draining
        assert rig.calls == ["running"]

    play(strategy, scene)


def test_the_classic_queue_breaks_off_what_runs() -> None:
    async def scene(rig: Rig) -> None:
        running = rig.submit(id="running")
        await asyncio.sleep(0.5)
        await rig.strategy.drain(30)
        with pytest.raises(Draining):
            await running.reply()
        assert rig.kept == {}

    play("origin", scene)
