"""Claim: one flooding conversation does not drown the quiet ones."""

from __future__ import annotations

import asyncio

import pytest

from tests.evidence.support import Stage, clearly_more, mean, on_stage


@pytest.mark.slow  # Statistics over ten seeds.
@pytest.mark.parametrize("strategy", ["queue", "lock", "reject"])
def test_quiet_conversations_are_served_beside_a_flood(strategy: str) -> None:
    assert clearly_more("hot", "fairness", strategy, "unprotected")
    assert mean(strategy, "hot", "fairness") > 0.9


def test_in_one_line_for_all_the_quiet_wait_behind_the_flood() -> None:
    async def play(stage: Stage) -> None:
        for number in range(50):
            stage.send(f"flood-{number}", "hot")
        await stage.send("quiet", "quiet").reply()
        assert len(stage.began) == 51

    on_stage("origin", play)


def test_with_a_line_for_each_the_quiet_wait_for_one_turn() -> None:
    async def play(stage: Stage) -> None:
        for number in range(50):
            stage.send(f"flood-{number}", "hot")
        await stage.send("quiet", "quiet").reply()
        assert len(stage.began) <= 3

    on_stage("queue", play, max_running=1)


def test_a_flood_is_refused_at_the_bound_and_a_quiet_turn_is_not() -> None:
    async def play(stage: Stage) -> None:
        refused = 0
        for number in range(50):
            try:
                stage.send(f"flood-{number}", "hot")
            except Exception as error:
                refused += type(error).__name__ == "ConversationQueueFull"
        assert refused == 39  # One runs, ten wait.
        quiet = stage.send("quiet", "quiet")
        await quiet.reply()

    on_stage("queue", play, max_running=1, max_waiting_per_conversation=10)


def test_a_lock_takes_any_number() -> None:
    async def play(stage: Stage) -> None:
        for number in range(5_000):
            stage.send(str(number))
        await asyncio.sleep(0.5)
        assert stage.strategy.load().waiting == 4_999
        await stage.strategy.drain(0)

    on_stage("lock", play, max_waiting_per_conversation=10)
