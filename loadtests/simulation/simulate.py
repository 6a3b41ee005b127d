"""The same strategy classes and the same clients under virtual time: days in seconds.

What is simulated is the network, the server around the strategy and the agent's
work; strategies, clients and the measures are the real ones. Requests cost what
the workload's `overhead_s` says, by default nothing, which is right where the agent takes
far longer than the server.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from loadtests.controls import find
from loadtests.measures.chains import check_chain
from loadtests.measures.records import Call, History, Run, UserTurn
from loadtests.runs.agent import Scheduled, name_of
from loadtests.simulation.light import Light, attempts_of
from loadtests.simulation.loop import LightLoop
from loadtests.simulation.users import Users
from loadtests.workloads.workload import Workload
from runner.agents.base import Message
from strategies import Attempt, Limits, Reply, Strategy, Turn
from strategies.testing.clock import VirtualLoop, close

T = TypeVar("T")


def simulate(
    strategy: str,
    workload: Workload,
    *,
    limits: Limits | None = None,
    options: Mapping[str, Any] | None = None,
    services: float = 0.0,
    chain: bool = True,
    make_loop: Callable[[], VirtualLoop] = LightLoop,
) -> Run:
    """The run of this workload under the strategy, as a real one would have recorded it.

    limits    as the settings would give them; by default the server's own, with as many
              slots as the agent has backends.
    services  what to note as the workload's length, in mean service times.
    chain     whether replies prove on which they stand. Without it histories have no digest,
              all else is the same, and a run takes half as long.
    make_loop VirtualLoop is asyncio's own, which is slower and leaves the order of ties open.
    """
    world = _World(workload, chain=chain)
    made = _Made(find(strategy), limits or Limits(max_running=workload.max_running), options or {})
    turns = _run(world.live(made), make_loop())
    return Run(
        strategy,
        workload.name,
        workload.seed,
        workload.service_s,
        services,
        tuple(turns),
        tuple(world.calls),
        tuple(world.summaries()),
    )


def _run(main: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    try:
        return loop.run_until_complete(main)
    finally:
        close(loop)


class _Made:
    """A strategy that is still to be given its `answer`."""

    def __init__(
        self, factory: Callable[..., Strategy], limits: Limits, options: Mapping[str, Any]
    ) -> None:
        self._factory, self._limits, self._options = factory, limits, options

    def __call__(self, answer: Callable[..., Any]) -> Strategy:
        return self._factory(answer, self._limits, **self._options)


class _World:
    """One server in memory and all of its clients."""

    def __init__(self, workload: Workload, *, chain: bool) -> None:
        self._workload, self._chain = workload, chain
        self.calls: list[Call] = []
        self._histories: dict[str, list[Message]] = defaultdict(list)
        self._kept: dict[str, list[str]] = defaultdict(list)

    async def live(self, make: Callable[[Any], Strategy]) -> list[UserTurn]:
        """All users' turns, from the first to the last."""
        loop = asyncio.get_running_loop()
        answer: Callable[[Turn, Attempt], Awaitable[Reply]]
        if self._chain:
            self._agent = Scheduled(self.calls.append, loop.time, self._workload.backends)
            answer = self._answer
        else:
            self._light = Light(self.calls.append, loop.time, self._workload)
            answer = self._answer_lightly
        strategy = make(answer)
        turns = await Users(self._workload, strategy, loop).all_turns()
        await strategy.drain(1e6)
        return sorted(turns, key=lambda turn: turn.number)

    async def _answer(self, turn: Turn, attempt: Attempt) -> Reply:
        history = self._histories[turn.conversation]
        kept, name = self._kept[turn.conversation], attempts_of(turn)
        text = await self._agent.answer(turn.conversation, turn.message, history, name)
        if self._workload.overhead_s:
            await asyncio.sleep(self._workload.overhead_s)
        attempt.seal()
        history.append({"role": "user", "content": turn.message})
        history.append({"role": "assistant", "content": text})
        kept.append(name)
        return Reply(text, len(history) // 2)

    async def _answer_lightly(self, turn: Turn, attempt: Attempt) -> Reply:
        kept, name = self._kept[turn.conversation], attempts_of(turn)
        await self._light.work(turn.conversation, name)
        if self._workload.overhead_s:
            await asyncio.sleep(self._workload.overhead_s)
        attempt.seal()
        kept.append(name)
        return Reply("", len(kept))

    def summaries(self) -> Iterator[History]:
        """What each conversation's history has come to; each turn's id is its attempt's name."""
        for conversation, names in self._kept.items():
            messages, kept = self._histories[conversation], tuple(names)
            made = summary(conversation, messages, chain=self._chain)
            yield replace(made, messages=kept)


def summary(conversation: str, messages: list[Message], *, chain: bool) -> History:
    """A history in short: whose turns, in which order, and whether each stands on the others.

    What names a turn is its number, for more is not in its words.
    """
    names = tuple(name_of(said["content"]) for said in messages[::2])
    if not chain:
        return History(conversation, names, "", None)
    digest = str(json.loads(messages[-1]["content"])["hash"]) if messages else ""
    return History(conversation, names, digest, len(check_chain(messages)))
