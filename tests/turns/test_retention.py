"""Conversations go when they are old, and never while they are used: I-2, I-18, I-27."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf

import pytest

from runner.settings import Settings, StoreSettings
from runner.store.base import StoreUnavailable
from runner.store.memory import MemoryStore
from runner.turns.live_turn import LiveTurn
from runner.turns.retention import LOOK_S
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import ConversationBusy, Limits, Turn
from strategies.queue import Queue
from strategies.testing import run
from tests.turns.test_service import Sleeper

KEEP_S = 600.0
DAY_S = 86_400.0


class Shelf(MemoryStore):
    """Takes a second to tell which conversations are idle, and one to forget; may fail at that.

    found    some are idle, and this will be known in a second.
    forgets  one is about to be forgotten, in a second.
    """

    fails = False

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(now=now)
        self.found, self.forgets = asyncio.Event(), asyncio.Event()

    async def idle(self, since: float, most: int) -> list[str]:
        if found := await super().idle(since, most):
            self.found.set()
            await asyncio.sleep(1)
        return found

    async def forget(self, conversation: str, idle_since: float | None = None) -> bool:
        self.forgets.set()
        await asyncio.sleep(1)
        if self.fails:
            raise StoreUnavailable
        return await super().forget(conversation, idle_since)


class Life:
    """One server, and a wall clock that may be set."""

    def __init__(self) -> None:
        self.offset_s = 1_700_000_000.0
        self.agent, self.store = Sleeper(), Shelf(self.wall)
        self.store.durable = True
        self.service = Service(
            Settings(store=StoreSettings(keep_history_s=KEEP_S)),
            self.agent,
            self.store,
            lambda answer: Queue(answer, Limits(max_wait_s=inf, turn_timeout_s=None)),
            now=self.wall,
        )
        self._serial = 0

    def wall(self) -> float:
        return self.offset_s + asyncio.get_running_loop().time()

    async def begin(
        self, message: str, conversation: str = "c", key: str | None = None
    ) -> LiveTurn:
        self._serial += 1
        turn = Turn(f"t{self._serial}", conversation, message)
        # Without a key it has no row, and the store does not know of it while it runs.
        live, _ = await self.service.submit(Submission(turn, "drop-waiting", key))
        return live

    async def ask(self, message: str = "0", conversation: str = "c", key: str | None = None) -> int:
        """The turn's number."""
        live = await self.begin(message, conversation, key)
        await live.until_ended()
        assert live.ending is not None
        return live.ending.number

    async def until(self, seconds: float) -> None:
        """So many seconds after the start."""
        await asyncio.sleep(seconds - asyncio.get_running_loop().time())

    async def turns(self, conversation: str = "c") -> int:
        return await self.store.turns(conversation)


def play(scene: Callable[[Life], Awaitable[None]]) -> None:
    async def live() -> None:
        life = Life()
        await life.service.open()
        await scene(life)
        await life.service.drain(0)
        await life.service.close()

    run(live())


def test_a_conversation_goes_when_its_last_turn_is_old_and_a_younger_one_stays() -> None:
    async def scene(life: Life) -> None:
        await life.ask()
        await life.ask(conversation="other")
        await life.until(KEEP_S - LOOK_S)
        assert await life.turns() == 1
        await life.ask(conversation="other")
        await life.until(KEEP_S + 2 * LOOK_S)
        assert (await life.turns(), await life.turns("other")) == (0, 2)
        assert life.agent.forgot == ["c"]

    play(scene)


def test_what_clients_see_is_a_new_conversation_as_after_deleting_it() -> None:
    async def scene(life: Life) -> None:
        first = await life.begin("0", key="k")
        await first.until_ended()
        await life.until(KEEP_S + 2 * LOOK_S)
        assert await life.service.find(first.turn.id) is None
        assert await life.service.conversation("c") is None
        assert await life.ask("1", key="k") == 1

    play(scene)


def test_a_conversation_stays_while_its_turn_runs_and_then_ages_from_its_end() -> None:
    async def scene(life: Life) -> None:
        await life.ask()
        await life.until(KEEP_S - 10)
        await life.ask("1000")
        assert await life.turns() == 2
        await life.until(2 * KEEP_S + 900)
        assert await life.turns() == 2
        await life.until(2 * KEEP_S + 1_200)
        assert await life.turns() == 0

    play(scene)


def test_a_message_that_comes_while_its_conversation_goes_waits_and_begins_a_new_one() -> None:
    async def scene(life: Life) -> None:
        await life.ask()
        await life.store.forgets.wait()
        assert await life.turns() == 1
        assert await life.ask() == 1
        assert await life.turns() == 1
        assert life.agent.forgot == ["c"]

    play(scene)


def test_a_message_in_the_tick_before_its_conversation_goes_keeps_it() -> None:
    """It was found to be idle, and was used between that and its end."""

    async def scene(life: Life) -> None:
        await life.ask()
        await life.store.found.wait()
        assert await life.ask() == 2
        await asyncio.sleep(3 * LOOK_S)
        assert await life.turns() == 2
        assert life.agent.forgot == []

    play(scene)


def test_a_message_still_running_in_that_tick_keeps_it_too() -> None:
    async def scene(life: Life) -> None:
        await life.ask()
        await life.store.found.wait()
        assert await life.ask("300") == 2
        assert await life.turns() == 2

    play(scene)


def test_at_whichever_instant_a_message_comes_its_reply_stays() -> None:
    """I-2: the turn is the second of the old conversation, or the first of a new one."""

    numbers: list[int] = []

    async def scene(life: Life) -> None:
        await life.ask()
        await life.store.found.wait()
        await asyncio.sleep(len(numbers) / 4)
        number = await life.ask()
        await asyncio.sleep(5)
        assert await life.turns() == number
        numbers.append(number)

    for _ in range(12):  # Until a second after it is forgotten.
        play(scene)
    assert numbers == sorted(numbers, reverse=True)
    assert {*numbers} == {1, 2}


def test_deleting_it_in_that_tick_is_one_forgetting() -> None:
    async def scene(life: Life) -> None:
        await life.ask()
        await life.store.forgets.wait()
        with pytest.raises(ConversationBusy):
            await life.service.forget("c")
        await asyncio.sleep(1)
        assert await life.turns() == 0
        assert life.agent.forgot == ["c"]

    play(scene)


def test_a_store_that_cannot_forget_is_asked_again_and_loses_nothing_meanwhile() -> None:
    async def scene(life: Life) -> None:
        await life.ask()
        life.store.fails = True
        await life.until(KEEP_S + 3 * LOOK_S)
        assert (await life.turns(), life.agent.forgot) == (1, [])
        life.store.fails = False
        await life.until(KEEP_S + 5 * LOOK_S)
        assert (await life.turns(), life.agent.forgot) == (0, ["c"])

    play(scene)


def test_a_clock_that_is_set_forward_makes_nothing_old() -> None:
    async def scene(life: Life) -> None:
        await life.ask()
        life.offset_s += 1_000 * DAY_S
        await life.ask(conversation="later")
        await life.until(KEEP_S - LOOK_S)
        assert (await life.turns(), await life.turns("later")) == (1, 1)

    play(scene)


def test_a_clock_that_is_set_back_and_forward_again_makes_nothing_old() -> None:
    async def scene(life: Life) -> None:
        await asyncio.sleep(10)
        life.offset_s -= DAY_S
        await life.ask(conversation="early")
        await asyncio.sleep(2 * LOOK_S)
        assert await life.turns("early") == 1
        life.offset_s += DAY_S
        await asyncio.sleep(3 * LOOK_S)
        assert await life.turns("early") == 1

    play(scene)


def test_without_the_setting_nothing_goes() -> None:
    async def live() -> None:
        store = MemoryStore(now=lambda: 0.0)
        service = Service(
            Settings(), Sleeper(), store, lambda answer: Queue(answer, Limits()), now=lambda: 4e9
        )
        await service.open()
        (await service.submit(Submission(Turn("t", "c", "0"), "continue")))[0]
        await asyncio.sleep(1_000)
        assert await store.turns("c") == 1
        await service.close()

    run(live())
