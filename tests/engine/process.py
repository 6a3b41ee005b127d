"""One server of a simulated world, in an event loop of its own."""

from __future__ import annotations

import asyncio
from asyncio.base_events import BaseEventLoop
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from runner.agents.base import About, Asked, Hear, Said, unheard
from runner.engine.sharing import Sharing
from runner.turns.service import Service
from strategies import AgentFailed, TurnError
from strategies.testing import VirtualLoop
from strategies.testing.stubborn import ignore_cancellation
from tests.engine.simulated import SimulatedChannel, SimulatedWorker
from tests.engine.simulated_server import Link
from tests.engine.simulated_store import SimulatedStore

if TYPE_CHECKING:
    from tests.engine.world import World

T = TypeVar("T")

LEASE_S = 4.0


class SteppedLoop(VirtualLoop):
    """One of several under one clock: at each instant it does what is ready, and stops."""

    is_stepped = False

    def step(self, now: float) -> None:
        self._now = now
        self.is_stepped = True
        self.run_forever()
        self.is_stepped = False

    def _run_once(self) -> None:
        vars(BaseEventLoop)["_run_once"](self)
        if self.is_stepped and self.next_at() > self._now:
            self.stop()

    def select(self, timeout: float | None) -> list[object]:
        return [] if self.is_stepped else super().select(timeout)

    def next_at(self) -> float:
        """When it has something to do, by its own clock; inf for never."""
        if self._ready:
            return self._now
        return self._scheduled[0].when() if self._scheduled else inf

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]


@dataclass
class Call:
    """The agent at work. `taken_before`: how many turns had been taken from servers by then."""

    turn_id: str
    conversation: str
    process: Process
    taken_before: int


class Gone(Exception):
    """The server was killed, and the connection with it."""


class Process:
    """One server, from its start until it is killed."""

    def __init__(self, world: World, number: int) -> None:
        self.name = f"s{number}"
        self.world = world
        self.loop = SteppedLoop(world.seed * 1_000 + number)
        self.is_dead = self.is_leaving = False
        self.frozen_until = 0.0
        self.link = Link(world.server, world.rng, may_fail=not world.is_calm)
        settings = world.settings
        self.store: Any = SimulatedStore(self.link, f"{self.name}own", LEASE_S)
        store: Any = self.store
        sharing = Sharing(
            settings,
            store,
            world.limits,
            make_worker=SimulatedWorker,
            make_channel=SimulatedChannel,
        )
        self.service = Service(
            settings,
            Scripted(self),
            store,
            sharing.make_strategy,
            now=lambda: 1_000.0 + world.now,
            log_turn=lambda *line, **told: None,
            sharing=sharing,
        )
        self._calls: dict[asyncio.Future[Any], None] = {}
        self._opening = self.loop.create_task(self._open())

    async def _open(self) -> None:
        try:
            await self.service.open()
        except TurnError:
            self.world.loop.call_soon(self.kill)  # As `runner serve` ends.

    @property
    def serves(self) -> bool:
        return self.service.opened and not self.is_dead and not self.is_leaving

    @property
    def is_frozen(self) -> bool:
        return self.frozen_until > self.world.now

    async def call(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Have it do this, for a client elsewhere. Raises Gone.

        A client that stops waiting has left; the server learns of it when it is stepped.
        """
        here = self.world.loop
        answer: asyncio.Future[T] = here.create_future()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            tasks.append(self.loop.create_task(make()))
            tasks[0].add_done_callback(done)

        def done(task: asyncio.Task[T]) -> None:
            if not self.is_dead:
                here.call_soon(settle, task)

        def settle(task: asyncio.Task[T]) -> None:
            if answer.done():
                _ = task.cancelled() or task.exception()
            elif task.cancelled():
                answer.set_exception(Gone())
            elif (error := task.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())

        if self.is_dead:
            raise Gone
        self._calls[answer] = None
        self.loop.call_soon(start)
        try:
            return await answer
        except asyncio.CancelledError:
            self.loop.call_soon(lambda: tasks and tasks[0].cancel())
            raise
        finally:
            self._calls.pop(answer, None)

    def kill(self) -> None:
        self.is_dead = True
        self._held = asyncio.all_tasks(self.loop)  # Or the garbage collector would end them.
        self.link.cut()
        for answer in [*self._calls]:
            if not answer.done():
                answer.set_exception(Gone())

    async def leave(self, timeout_s: float) -> None:
        """As SIGTERM has it end."""
        self.is_leaving = True
        with suppress(Gone):
            await self.call(lambda: self._leave(timeout_s))
        self.kill()

    async def _leave(self, timeout_s: float) -> None:
        await self.service.drain(timeout_s)
        await self.service.close()


@dataclass
class Scripted:
    """An agent whose replies tell the place in the history for which they were made."""

    process: Process
    about: About = field(
        default=About("scripted", "for the test", wants_history=True, single_conversation=False)
    )
    hangs: bool = False

    async def answer(self, asked: Asked, hear: Hear = unheard) -> Said:
        world = self.process.world
        call = world.called(self.process, asked.message)
        number = len(asked.history) // 2 + 1
        try:
            hear("...")
            await asyncio.sleep(world.rng.choice((0.0, 0.5, 1.0, 3.0, 7.0)))
            if world.rng.random() < 0.1:
                raise AgentFailed
            if world.rng.random() < 0.05:
                await ignore_cancellation(world.rng.choice((0.5, 3.0)))
        finally:
            world.stopped(call)
        return Said(f"{number} {asked.message}")

    def forget(self, conversation: str) -> None:
        pass

    def not_kept(self, conversation: str) -> None:
        pass
