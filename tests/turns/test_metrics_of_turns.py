"""What metrics count and how long they say that it took, in virtual time: durations are exact."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runner.agents.base import Asked, Hear, Said, unheard
from runner.api.problems import TURN_CAUSES
from runner.settings import Settings
from runner.store.memory import MemoryStore
from runner.telemetry.metrics import Metrics
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import Draining, Limits, State, Turn
from strategies.queue import Queue
from strategies.testing import run
from tests.support.figures import Figures, labelled, parse
from tests.turns.test_service import Sleeper


class Speaker(Sleeper):
    """Says the first word after a second, and the second one after two more."""

    async def answer(self, asked: Asked, hear: Hear = unheard) -> Said:
        for word, pause_s in (("first ", 1), ("second", 2)):
            await asyncio.sleep(pause_s)
            hear(word)
        return Said("first second")


class World:
    """A service that is measured, and one line."""

    def __init__(self, agent: Sleeper) -> None:
        limits = Limits(max_running=1)
        self.service = Service(
            Settings(), agent, MemoryStore(), lambda answer: Queue(answer, limits)
        )
        self.metrics = Metrics(self.service)
        self.service.observers.add(self.metrics)
        self._serial = 0

    async def ask(self, message: str, conversation: str = "c", caller: str = "") -> LiveTurn:
        self._serial += 1
        turn = Turn(f"t{self._serial}", conversation, message, caller=caller)
        return (await self.service.submit(Submission(turn, "continue", None)))[0]

    def shown(self) -> Figures:
        return parse(self.metrics.shown("")[1])


def play(scene: Callable[[World], Awaitable[None]], agent: Sleeper | None = None) -> None:
    async def live() -> None:
        world = World(agent or Sleeper())
        await world.service.open()
        await scene(world)
        await world.service.drain(0)
        await world.service.close()

    run(live())


def duration(shown: Figures, name: str) -> tuple[float, float]:
    """How many there were, and the seconds of all together."""
    return shown[f"turnline_{name}_seconds_count"], round(shown[f"turnline_{name}_seconds_sum"], 3)


def test_a_thousand_conversations_make_no_series() -> None:
    async def scene(world: World) -> None:
        before = world.shown().keys()
        for number in range(1_000):
            conversation, caller = f"someone{number}/c{number}", f"someone{number}"
            await (await world.ask("0", conversation, caller)).until_ended()
        shown = world.shown()
        assert shown['turnline_turns_total{outcome="answered"}'] == 1_000
        assert shown.keys() == before

    play(scene)


def test_a_wait_ends_with_the_start_and_a_run_with_the_turn() -> None:
    async def scene(world: World) -> None:
        await world.ask("3")
        await (await world.ask("4")).until_ended()
        assert duration(world.shown(), "turn_wait") == (2, 3)
        assert duration(world.shown(), "turn_run") == (2, 7)

    play(scene)


def test_a_turn_that_never_starts_has_waited_and_not_run() -> None:
    async def scene(world: World) -> None:
        await world.ask("3")
        other = await world.ask("never")
        await asyncio.sleep(2)
        await world.service.cancel(other)
        assert duration(world.shown(), "turn_wait") == (1, 2)
        assert duration(world.shown(), "turn_run") == (0, 0)
        assert duration(world.shown(), "time_to_first_piece") == (0, 0)

    play(scene)


def test_a_reply_begins_with_its_first_piece() -> None:
    async def scene(world: World) -> None:
        await (await world.ask("speak")).until_ended()
        assert duration(world.shown(), "time_to_first_piece") == (1, 1)
        assert duration(world.shown(), "turn_run") == (1, 3)

    play(scene, Speaker())


def test_a_reply_that_comes_whole_begins_with_its_end() -> None:
    async def scene(world: World) -> None:
        await (await world.ask("4")).until_ended()
        assert duration(world.shown(), "time_to_first_piece") == (1, 4)

    play(scene)


def test_a_turn_that_a_shutdown_ends_before_its_start_is_refused_and_not_a_refusal() -> None:
    """I-9: accepted is the sum of all outcomes and of what waits and runs."""

    async def scene(world: World) -> None:
        await world.ask("60")
        await world.ask("waits")
        await world.service.drain(0)
        with pytest.raises(Draining):
            await world.ask("comes too late")
        shown = world.shown()
        outcomes = labelled(shown, "turnline_turns_total", "outcome")
        assert outcomes["refused"] == 1
        assert sum(outcomes.values()) == world.service.load().accepted == 2
        assert labelled(shown, "turnline_refusals_total", "cause")["draining"] == 1

    play(scene)


def test_the_oldest_wait_is_that_of_the_first_in_line() -> None:
    async def scene(world: World) -> None:
        for message in ("5", "1", "1"):
            await world.ask(message)
        await asyncio.sleep(2)
        shown = world.shown()
        assert shown["turnline_oldest_wait_seconds"] == 2
        assert (shown["turnline_turns_waiting"], shown["turnline_turns_running"]) == (2, 1)

    play(scene)


def test_every_known_cause_and_outcome_is_there_before_the_first_turn() -> None:
    async def scene(world: World) -> None:
        causes = labelled(world.shown(), "turnline_refusals_total", "cause")
        assert {cause.name for cause in TURN_CAUSES.values()} < causes.keys()
        outcomes = labelled(world.shown(), "turnline_turns_total", "outcome")
        assert outcomes.keys() == {one.value for one in State} - {"waiting", "running"}
        assert not any((*causes.values(), *outcomes.values()))

    play(scene)
