"""The service in virtual time: a real strategy and store, a scripted agent, a slow disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runner.agents.base import About, Asked, Hear, Said, unheard
from runner.settings import OnDisconnect, Settings
from runner.store.base import Ending, StoreUnavailable
from runner.store.memory import MemoryStore
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import ConversationBusy, Limits, State, Turn
from strategies.queue import Queue
from strategies.testing import run
from strategies.testing.stubborn import ignore_cancellation


class SlowStore(MemoryStore):
    """Takes a second to keep an ending and to forget; and may fail to forget."""

    fails = False

    async def end(self, turn_id: str, ending: Ending) -> None:
        await asyncio.sleep(1)
        await super().end(turn_id, ending)

    async def forget(self, conversation: str, idle_since: float | None = None) -> bool:
        await asyncio.sleep(1)
        if self.fails:
            raise StoreUnavailable
        return await super().forget(conversation, idle_since)


class Sleeper:
    """An agent that takes as many seconds as the message says."""

    about = About("sleeper", "for the test", wants_history=False, single_conversation=False)
    hangs = False

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.forgot: list[str] = []

    async def answer(self, asked: Asked, hear: Hear = unheard) -> Said:
        message = asked.message
        self.calls.append(message)
        if message == "stubborn":
            await ignore_cancellation(5)
            return Said(message)
        await asyncio.sleep(float(message.split()[0]))
        return Said(message)

    def forget(self, conversation: str) -> None:
        self.forgot.append(conversation)

    def not_kept(self, conversation: str) -> None:
        self.forgot.append(conversation)


class World:
    def __init__(self, make_store: Callable[[], SlowStore] = SlowStore) -> None:
        self.agent, self.store = Sleeper(), make_store()
        self.service = Service(
            Settings(), self.agent, self.store, lambda answer: Queue(answer, Limits())
        )
        self._serial = 0

    async def ask(
        self,
        message: str,
        key: str | None = None,
        wish: OnDisconnect = "drop-waiting",
        strategy: str | None = None,
    ) -> LiveTurn:
        self._serial += 1
        turn = Turn(f"t{self._serial}", "c", message, strategy=strategy)
        live, _ = await self.service.submit(Submission(turn, wish, key))
        return live


def play(
    scene: Callable[[World], Awaitable[None]], make_store: Callable[[], SlowStore] = SlowStore
) -> None:
    async def live() -> None:
        world = World(make_store)
        await world.service.open()
        await scene(world)
        await world.service.drain(0)
        await world.service.close()

    run(live())


def leave(live: LiveTurn) -> None:
    """A client that waited is gone."""
    live.waiters += 1
    live.leave()


def test_a_key_whose_turn_was_abandoned_a_moment_ago_runs_again() -> None:
    """I-19: its ending is still being kept, and nobody may be told of it instead of a reply."""

    async def scene(world: World) -> None:
        await world.ask("5 blocks")
        first = await world.ask("1 keyed", key="k")
        leave(first)
        again = await world.ask("1 keyed", key="k")
        assert again is not first
        await again.until_ended()
        assert again.ending is not None
        assert again.ending.state is State.ANSWERED
        assert world.agent.calls == ["5 blocks", "1 keyed"]

    play(scene)


@pytest.mark.parametrize(
    ("wishes", "is_called"),
    [
        (("continue", "drop-waiting"), True),
        (("drop-waiting", "continue"), True),
        (("cancel", "drop-waiting"), False),
    ],
)
def test_of_all_who_asked_for_a_turn_the_most_lasting_wish_counts(
    wishes: tuple[OnDisconnect, ...], is_called: bool
) -> None:
    async def scene(world: World) -> None:
        await world.ask("2 blocks")
        lives = [await world.ask("1 keyed", key="k", wish=wish) for wish in wishes]
        assert lives[0] is lives[1]
        for live in lives:
            live.waiters += 1
        for live in lives:
            live.leave()
        await asyncio.sleep(5)
        assert ("1 keyed" in world.agent.calls) == is_called

    play(scene)


def test_nothing_is_forgotten_in_memory_before_the_store_has_forgotten() -> None:
    async def scene(world: World) -> None:
        first = await world.ask("1", key="k")
        await first.until_ended()
        world.store.fails = True
        with pytest.raises(StoreUnavailable):
            await world.service.forget("c")
        assert await world.ask("1", key="k") is first
        assert (world.agent.calls, world.agent.forgot) == (["1"], [])

    play(scene)


def test_a_turn_that_comes_while_its_conversation_is_forgotten_starts_a_new_one() -> None:
    async def scene(world: World) -> None:
        await (await world.ask("1")).until_ended()
        forgetting = asyncio.create_task(world.service.forget("c"))
        await asyncio.sleep(0.5)
        with pytest.raises(ConversationBusy):
            await world.service.forget("c")
        live = await world.ask("1 anew")
        await live.until_ended()
        await forgetting
        assert live.ending is not None
        assert live.ending.number == 1

    play(scene)


def test_duplicates_that_wait_for_a_forgetting_are_one_turn() -> None:
    """I-19"""

    async def scene(world: World) -> None:
        await (await world.ask("1")).until_ended()
        forgetting = asyncio.create_task(world.service.forget("c"))
        await asyncio.sleep(0.5)
        one, other = await asyncio.gather(world.ask("1 anew", "k"), world.ask("1 anew", "k"))
        assert one is other
        await forgetting

    play(scene)


def test_a_client_that_stops_waiting_stops_no_other() -> None:
    async def scene(world: World) -> None:
        live = await world.ask("1")
        first, second = live.until_ended(), live.until_ended()
        first.cancel()
        await second
        assert live.ending is not None

    play(scene)


def test_one_of_several_merged_turns_is_cancelled_at_once_though_their_agent_goes_on() -> None:
    async def scene(world: World) -> None:
        await world.ask("1")
        one, other, last = [await world.ask("5 merged", strategy="merge") for _ in range(3)]
        await asyncio.sleep(2)
        for live in (one, other, last):
            began = asyncio.get_running_loop().time()
            await world.service.cancel(live)
            assert live.state is State.CANCELLED
            assert asyncio.get_running_loop().time() == began
        assert last.phase.name == "ENDED"  # Its agent was told to stop, and has.

    play(scene)


def test_who_cancels_a_turn_that_has_ended_does_not_wait_for_its_agent() -> None:
    async def scene(world: World) -> None:
        live = await world.ask("stubborn")
        await asyncio.sleep(0.1)
        took_s: list[float] = []
        for _ in range(2):
            began = asyncio.get_running_loop().time()
            await world.service.cancel(live)
            took_s.append(asyncio.get_running_loop().time() - began)
        assert live.phase.name == "FENCED"
        assert took_s == [pytest.approx(1.0), 0.0]

    play(scene)


def test_ended_turns_are_kept_only_up_to_the_bound() -> None:
    """I-27"""

    async def scene(world: World) -> None:
        server = Settings().server.model_copy(update={"resume_turns": 3})
        world.service = Service(
            Settings(server=server),
            world.agent,
            world.store,
            lambda answer: Queue(answer, Limits()),
        )
        for _ in range(5):
            await (await world.ask("0")).until_ended()
        known = [await world.service.find(f"t{number}") for number in range(1, 6)]
        from_memory = [live is not None and live.phase.name == "ENDED" for live in known]
        assert all(from_memory)
        kept = [await world.service.find(f"t{number}") for number in range(1, 6)]
        # Those that are still in memory are the same object each time.
        assert [a is b for a, b in zip(known, kept, strict=True)] == [False] * 2 + [True] * 3

    play(scene)
