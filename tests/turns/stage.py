"""A whole service in this process, over a store of either kind, with an agent from `keepers`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from runner.agents.loader import load_agent
from runner.agents.requests import Decision
from runner.agents.threads import Threads
from runner.settings import AgentSettings, Settings, StrategySettings
from runner.store import make_store
from runner.store.base import Ending, Store
from runner.turns.content import Content, Resume, in_words
from runner.turns.live_turn import LiveTurn, Phase
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import Answer, Limits, Strategy, Turn, registry
from tests.support.stores import new_url

CONVERSATION = "c"


class Stage:
    """Serves one of the agents in `tests.support.keepers`; `start` again is a restart.

    knobs  of `[agent]`.
    """

    def __init__(self, url: str, name: str, strategy: str = "queue", **knobs: Any) -> None:
        self._url, self._name, self._strategy = url, name, strategy
        self._settings = Settings(
            agent=AgentSettings(**knobs), strategy=StrategySettings(name=strategy)
        )
        self._store: Store | None = None
        self._serial = 0

    async def start(self) -> None:
        if self._store is None or self._store.durable:
            self._store = make_store(self._url)
        threads, agent = Threads(4), self._settings.agent
        loaded = load_agent(
            f"tests.support.keepers:{self._name}",
            {},
            threads=threads,
            max_reply_bytes=agent.max_reply_bytes,
            max_state_bytes=agent.max_state_bytes,
        )
        self.agent = loaded
        self.service = Service(
            self._settings,
            loaded,
            self._store,
            self._make_strategy,
            threads=threads,
        )
        await self.service.open()

    def _make_strategy(self, answer: Answer) -> Strategy:
        name = self._strategy
        return registry.make(name, answer, Limits(), {}, per_turn=name in registry.PER_TURN)

    async def stop(self, drain_s: float = 0.0) -> None:
        await self.service.drain(drain_s)
        await self.service.close()

    @property
    def store(self) -> Store:
        assert self._store is not None
        return self._store

    async def begin(
        self,
        message: str = "",
        conversation: str = CONVERSATION,
        *,
        resume: Mapping[str, Decision] | str | None = None,
        key: str | None = None,
        deadline_s: float | None = None,
        strategy: str | None = None,
    ) -> LiveTurn:
        """A turn that was accepted; refusals are raised."""
        self._serial += 1
        content = None
        if resume is not None:
            asked: Resume = "cancel" if isinstance(resume, str) else resume
            message, content = in_words(asked), Content(resume=asked)
        turn = Turn(
            f"t{self._serial}", conversation, message, deadline_s, strategy=strategy, more=content
        )
        live, _ = await self.service.submit(Submission(turn, "drop-waiting", key))
        return live

    async def ask(self, message: str = "", *args: Any, **options: Any) -> Ending:
        """How the turn ended."""
        return await ended(await self.begin(message, *args, **options))

    async def begun(self, message: str, *args: Any, **options: Any) -> LiveTurn:
        """A turn whose agent is at work."""
        live = await self.begin(message, *args, **options)
        await until(self.service, live, Phase.RUNNING)
        return live

    async def state(self, conversation: str = CONVERSATION) -> Any:
        """The agent's state as it is kept."""
        left = await self.store.agent_state(conversation, "own")
        return None if left is None or left.state is None else from_json(left.state)


Make = Callable[..., Awaitable[Stage]]


@asynccontextmanager
async def stages(kind: str, folder: Path, name: str) -> AsyncGenerator[Make]:
    """Makes stages over one store of this kind, each with this agent unless another is named."""
    with new_url(kind, folder) as url:
        made: list[Stage] = []

        async def make(name: str = name, **knobs: Any) -> Stage:
            made.append(Stage(url, name, **knobs))
            await made[-1].start()
            return made[-1]

        yield make
        for stage in made:
            await stage.stop()


async def ended(live: LiveTurn) -> Ending:
    async with asyncio.timeout(30):
        await live.until_ended()
    assert live.ending is not None
    return live.ending


async def until(service: Service, live: LiveTurn, phase: Phase) -> None:
    moved = asyncio.Event()
    async with asyncio.timeout(30):
        with service.watching(live, moved.set):
            while live.phase is not phase:
                await moved.wait()
                moved.clear()
