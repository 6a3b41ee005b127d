"""Schedules by the thousand; I-26: every failing one replays from its seed."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from strategies import Answer, Attempt, Limits, Reply, Ticket, Turn
from strategies.queue import Queue
from strategies.registry import BUILT_IN
from strategies.testing import BrokenPromise, explore, replay
from strategies.testing.plan import make_plan
from tests.strategies.variants import STRATEGIES

ROOT = Path(__file__).parents[2]
UNBOUNDED = ("lock", "reject")
"""They have a use for few of the limits."""

each_strategy = pytest.mark.parametrize("name", STRATEGIES)


@each_strategy
@pytest.mark.parametrize("half", [0, 1])
def test_no_schedule_of_very_many_breaks_a_promise(name: str, half: int) -> None:
    """30,000 for the default, 16,000 for the others that have a name, 6,000 for variants.

    Each mutant of the strategies is found within 1,000.
    """
    count = 15_000 if name == "queue" else 8_000 if name in BUILT_IN else 3_000
    explore(STRATEGIES[name], count, half * count, bounds=name not in UNBOUNDED)


class Hasty(Queue):
    """Lets twice as many turns run as it was told."""

    def __init__(self, answer: Answer, limits: Limits) -> None:
        super().__init__(answer, Limits(max_running=2 * limits.max_running))


def test_a_failing_schedule_names_the_command_that_replays_it() -> None:
    with pytest.raises(BrokenPromise) as broken:
        explore(Hasty, 1_000, bounds=True)
    command = re.search(r"replay it with: python (.+)", str(broken.value))
    assert command is not None
    shown = subprocess.run(
        [sys.executable, *shlex.split(command[1])],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 1
    for fault in str(broken.value).splitlines()[1:-1]:
        assert fault.strip() in shown.stdout


def test_the_same_seed_is_the_same_schedule() -> None:
    seed = next(seed for seed in range(1_000) if replay(Hasty, seed, bounds=True))
    assert make_plan(seed) == make_plan(seed)
    assert replay(Hasty, seed, bounds=True) == replay(Hasty, seed, bounds=True)
    assert trace(seed) == trace(seed)


def trace(seed: int) -> list[tuple[float, str]]:
    """When the agent was called, and for which turn."""
    calls: list[tuple[float, str]] = []

    def traced(answer: Answer, limits: Limits) -> Queue:
        async def note(turn: Turn, attempt: Attempt) -> Reply:
            calls.append((asyncio.get_running_loop().time(), turn.id))
            return await answer(turn, attempt)

        return Queue(note, limits)

    assert replay(traced, seed, bounds=True) == []
    assert calls
    return calls


class Polling(Queue):
    """Looks every second whether there is something to do, and tells nobody what came of it."""

    def submit(self, turn: Turn) -> Ticket:
        asyncio.get_running_loop().create_task(self._poll())
        return self._engine.accept(Turn(turn.id, turn.conversation, turn.message))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(1)


class Busy(Queue):
    """Never comes to an end of it."""

    def submit(self, turn: Turn) -> Ticket:
        while asyncio.get_running_loop().time() < 1_000_000:
            pass
        raise AssertionError


@pytest.mark.parametrize("strategy", [Polling, Busy])
def test_a_strategy_that_never_comes_to_rest_is_reported_with_its_seed(
    strategy: type[Queue],
) -> None:
    with pytest.raises(BrokenPromise, match="replay it with"):
        explore(strategy, 10)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["queue", "--schedules", "50", "--bounds"], 0, "all promises kept"),
        (["lock", "--schedules", "50", "--jobs", "2"], 0, "explorer: 50 schedules"),
        (["queue", "--seed", "7"], 0, "no fault"),
        (["queue", "--seed", "7"], 0, "t0 in "),
        (["queue", "--schedules", "0"], 2, "must be at least 1"),
        (["loadtests.controls.unprotected:Unprotected", "--schedules", "50"], 1, "replay it with"),
        (["quue"], 2, "Did you mean 'queue'?"),
    ],
)
def test_the_kit_is_a_command_too(arguments: list[str], status: int, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "strategies.testing", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
