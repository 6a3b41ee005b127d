"""The wall clock may be set while turns and keys are kept: I-18, I-19."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf

import pytest

from runner.settings import Settings, StoreSettings
from runner.store.base import NothingKept
from runner.store.memory import MemoryStore
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import Limits, State, Turn
from strategies.queue import Queue
from strategies.testing import run
from tests.turns.test_service import Sleeper

DAY_S = 86_400.0
KEPT_S = 3_600.0


class Life:
    """Processes one after the other over one store, and a wall clock that may be set."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.store.durable = True
        self.offset_s = 1_000_000.0
        self.agent = Sleeper()
        self.service = self.make()
        self._serial = 0

    def make(self) -> Service:
        return Service(
            Settings(store=StoreSettings(keep_turns_s=KEPT_S)),
            self.agent,
            self.store,
            lambda answer: Queue(answer, Limits(max_wait_s=inf, turn_timeout_s=None)),
            now=lambda: self.offset_s + asyncio.get_running_loop().time(),
        )

    async def restart(self) -> None:
        await self.service.drain(0)
        await self.service.close()
        self.service = self.make()
        await self.service.open()

    async def ask(self, message: str, key: str, deadline_s: float | None = None) -> str:
        """The id of the turn, which is another's where the key was used before."""
        self._serial += 1
        turn = Turn(f"t{self._serial}", "c", message, deadline_s)
        submission = Submission(turn, "continue", key, respond_async=True)
        live, _ = await self.service.submit(submission)
        await live.promise()
        return live.turn.id


def play(scene: Callable[[Life], Awaitable[None]], store: MemoryStore | None = None) -> None:
    async def live() -> None:
        life = Life(store)
        await life.service.open()
        await scene(life)
        await life.service.drain(0)
        await life.service.close()

    run(live())


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("days", [2, -2, 20_000, -20_000])
def test_a_clock_that_is_set_drops_no_key_and_no_turn(days: int, restarts: bool) -> None:
    async def scene(life: Life) -> None:
        first = await life.ask("1", "k")
        await asyncio.sleep(10)
        life.offset_s += days * DAY_S
        await asyncio.sleep(100)  # Old ones are looked for meanwhile.
        second = await life.ask("1", "k2")
        await asyncio.sleep(10)
        if restarts:
            await life.restart()
        assert await life.ask("1", "k") == first
        assert await life.ask("1", "k2") == second
        for turn_id in (first, second):
            found = await life.service.find(turn_id)
            assert found is not None
            assert found.state is State.ANSWERED
        assert len(life.agent.calls) == 2

    play(scene)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("days", [2, -2, 20_000, -20_000])
def test_a_clock_that_is_set_keeps_no_key_for_ever(days: int, restarts: bool) -> None:
    async def scene(life: Life) -> None:
        first = await life.ask("1", "k")
        await asyncio.sleep(10)
        life.offset_s += days * DAY_S
        await asyncio.sleep(100)
        if restarts:
            await life.restart()
        await asyncio.sleep(KEPT_S)
        assert await life.ask("1", "k") != first

    play(scene)


def test_a_clock_that_was_set_back_between_two_processes_keeps_no_key_for_ever() -> None:
    async def scene(life: Life) -> None:
        first = await life.ask("1", "k")
        await asyncio.sleep(10)
        await life.service.drain(0)
        life.offset_s -= 100 * DAY_S
        await life.restart()
        assert await life.ask("1", "k") == first
        await asyncio.sleep(KEPT_S + 100)
        assert await life.ask("1", "k") != first

    play(scene)


def test_instants_that_the_store_could_not_move_are_moved_the_next_time() -> None:
    class Failing(MemoryStore):
        durable = True
        refusals = 1

        async def shift(self, by_s: float) -> None:
            if self.refusals:
                self.refusals -= 1
                raise NothingKept
            await super().shift(by_s)

    async def scene(life: Life) -> None:
        first = await life.ask("1", "k")
        await asyncio.sleep(10)
        life.offset_s += 2 * DAY_S
        await asyncio.sleep(200)
        await life.restart()
        assert await life.ask("1", "k") == first

    play(scene, Failing())


@pytest.mark.parametrize("days", [2, -2])
def test_a_deadline_is_so_many_seconds_away_though_the_clock_is_set(days: int) -> None:
    async def scene(life: Life) -> None:
        await life.ask("1000 blocks", "k")
        waits = await life.ask("1", "k2", deadline_s=5_000.0)
        life.offset_s += days * DAY_S
        await asyncio.sleep(100)
        await life.restart()
        live = await life.service.find(waits)
        assert live is not None
        assert live.turn.deadline_s == pytest.approx(4_900, abs=20)

    play(scene)
