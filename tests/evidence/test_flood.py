"""Claim: one flooding conversation does not drown the quiet ones."""

from __future__ import annotations

import asyncio

import pytest

from strategies.testing import Rig
from tests.evidence.support import clearly_more, mean, play


@pytest.mark.slow  # Statistics over ten seeds.
@pytest.mark.parametrize("strategy", ["queue", "lock", "reject"])
def test_quiet_conversations_are_served_beside_a_flood(strategy: str) -> None:
    assert clearly_more("hot", "fairness", strategy, "unprotected")
    assert mean(strategy, "hot", "fairness") > 0.9


def test_in_one_line_for_all_the_quiet_wait_behind_the_flood() -> None:
    async def scene(rig: Rig) -> None:
        for number in range(50):
            rig.submit(conversation="hot", id=f"flood-{number}")
        await rig.submit(conversation="quiet", id="quiet").reply()
        assert len(rig.calls) == 51

    play("origin", scene)


def test_with_a_line_for_each_the_quiet_wait_for_one_turn() -> None:
    async def scene(rig: Rig) -> None:
        for number in range(50):
            rig.submit(conversation="hot", id=f"flood-{number}")
        await rig.submit(conversation="quiet", id="quiet").reply()
        assert len(rig.calls) <= 3

    play("queue", scene, max_running=1)


def test_a_flood_is_refused_at_the_bound_and_a_quiet_turn_is_not() -> None:
    async def scene(rig: Rig) -> None:
        refused = 0
        for number in range(50):
            try:
                rig.submit(conversation="hot", id=f"flood-{number}")
            except Exception as error:
                refused += type(error).__name__ == "ConversationQueueFull"
        assert refused == 39  # One runs, ten wait.
        quiet = rig.submit(conversation="quiet", id="quiet")
        await quiet.reply()

    play("queue", scene, max_running=1, max_waiting_per_conversation=10)


def test_a_lock_takes_any_number() -> None:
    async def scene(rig: Rig) -> None:
        for number in range(5_000):
            rig.submit(id=str(number))
        await asyncio.sleep(0.5)
        assert rig.strategy.load().waiting == 4_999
        await rig.strategy.drain(0)

    play("lock", scene, max_waiting_per_conversation=10)
