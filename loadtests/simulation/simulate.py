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
from collections.abc import Callable, Mapping
from typing import Any

from loadtests.controls import find
from loadtests.measures.chains import check_chain
from loadtests.measures.records import LEFT, Call, History, Run, UserTurn
from loadtests.runs.agent import Scheduled, name_of
from loadtests.workloads.users import Answer, Pause, Send, take_turns
from loadtests.workloads.workload import Workload
from runner.agents.base import Message
from runner.api.problems import TURN_CAUSES
from strategies import Attempt, Limits, Reply, State, Strategy, Ticket, Turn, TurnError
from strategies.testing import run as run_virtual


def simulate(
    strategy: str,
    workload: Workload,
    *,
    limits: Limits | None = None,
    options: Mapping[str, Any] | None = None,
    services: float = 0.0,
) -> Run:
    """The run of this workload under the strategy, as a real one would have recorded it.

    limits    as the settings would give them; by default the server's own, with as many
              slots as the agent has backends.
    services  what to note as the workload's length, in mean service times.
    """
    world = _World(workload)
    made = _Made(find(strategy), limits or Limits(max_running=workload.max_running), options or {})
    turns = run_virtual(world.live(made))
    return Run(
        strategy,
        workload.name,
        workload.seed,
        workload.service_s,
        services,
        tuple(turns),
        tuple(world.calls),
        tuple(_history(*item) for item in world.histories.items()),
    )


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

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self.calls: list[Call] = []
        self.histories: dict[str, list[Message]] = defaultdict(list)
        self._serial = 0

    async def live(self, make: Callable[[Any], Strategy]) -> list[UserTurn]:
        """All users' turns, from the first to the last."""
        self._loop = asyncio.get_running_loop()
        self._agent = Scheduled(self.calls.append, self._loop.time, self._workload.backends)
        self._strategy = make(self._answer)
        self._following = self._workload.following
        users: list[asyncio.Task[tuple[UserTurn, ...]]] = []
        for number, arrival in enumerate(self._workload.arrivals):
            if arrival.after is not None:
                continue  # Its user sends it.
            await asyncio.sleep(max(0.0, arrival.due_s - self._loop.time()))
            users.append(self._loop.create_task(self._user(number)))
        ended = [turn for turns in await asyncio.gather(*users) for turn in turns]
        await self._strategy.drain(1e6)
        return sorted(ended, key=lambda turn: turn.number)

    async def _answer(self, turn: Turn, attempt: Attempt) -> Reply:
        history = self.histories[turn.conversation]
        text = await self._agent.answer(turn.conversation, turn.message, history)
        if self._workload.overhead_s:
            await asyncio.sleep(self._workload.overhead_s)
        attempt.seal()
        history += (
            {"role": "user", "content": turn.message},
            {"role": "assistant", "content": text},
        )
        return Reply(text, len(history) // 2)

    async def _user(self, number: int) -> tuple[UserTurn, ...]:
        conduct = take_turns(self._workload, number, self._loop.time, self._following)
        told: Answer | None = None
        while True:
            try:
                step = conduct.send(told)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            told = await self._do(step)

    async def _do(self, step: Send | Pause) -> Answer | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        self._serial += 1
        turn = Turn(
            str(self._serial),
            step.conversation,
            step.message,
            step.deadline_s,
            caller=step.caller,
        )
        try:
            ticket = self._strategy.submit(turn)
        except TurnError as error:
            return _refused(error)
        return await self._wait(ticket, step.give_up_s)

    async def _wait(self, ticket: Ticket, give_up_s: float) -> Answer:
        """As a connection does: the answer, or the client's leaving, which drops a waiting turn."""
        try:
            async with asyncio.timeout(give_up_s):
                reply = await ticket.reply()
        except TimeoutError:
            if ticket.state is State.WAITING:
                ticket.cancel()
            return Answer(LEFT)
        except TurnError as error:
            return _refused(error)
        return Answer(200, reply.number, ticket.waited_s, ticket.ran_s)


def _refused(error: TurnError) -> Answer:
    """As the server's edge says it."""
    causes = (TURN_CAUSES[kind] for kind in type(error).__mro__ if kind in TURN_CAUSES)
    return Answer(next(causes).status, retry_after_s=error.retry_after_s)


def _history(conversation: str, messages: list[Message]) -> History:
    return summary(conversation, messages, chain=True)


def summary(conversation: str, messages: list[Message], *, chain: bool) -> History:
    """A history in short: whose turns, in which order, and whether each stands on the others."""
    names = tuple(name_of(said["content"]) for said in messages[::2])
    if not chain:
        return History(conversation, names, "", None)
    digest = str(json.loads(messages[-1]["content"])["hash"]) if messages else ""
    return History(conversation, names, digest, len(check_chain(messages)))
