"""AutoGen: agents and teams of `autogen_agentchat`.

The object is the conversation, so its state is loaded before each turn: the stored one, or that
in which it was found. A failed or cancelled turn thus leaves nothing behind.

The reply is what the agent says, or all that the members of a team say, parted by empty lines.
An agent streams with `model_client_stream=True`, and has the last word after its tools with
`reflect_on_tool_use=True`; otherwise the tool's result is the reply.

A person takes part by the next message: let the team end, for example with
`HandoffTermination("user")`. In a team a model's exception arrives as a RuntimeError that
holds its text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

from pydantic_core import to_jsonable_python

from runner.agents.base import Answered, Asked, Emit
from runner.agents.frameworks.autogen.telling import Telling, speakers
from runner.agents.frameworks.exits import failing
from runner.agents.frameworks.framework import Framework, InThread, Unsupported, load, quiet
from runner.agents.threads import until_done

AGENT = ("autogen_agentchat.agents._base_chat_agent", "BaseChatAgent")
TEAM = ("autogen_agentchat.base._team", "Team")

ENDLESS = ("RoundRobinGroupChat", "SelectorGroupChat", "Swarm")
"""Teams that end by a condition only."""


class AutogenAdapter:
    def __init__(self, agent: Any, in_thread: InThread) -> None:
        _check(agent)
        for member in _members(agent):
            if isinstance(member, load("autogen_agentchat.agents").AssistantAgent):
                _let_tools_fail(member)
        quiet("autogen_core")  # It logs what users and tools say.
        self._agent = agent
        self._swarm = load("autogen_agentchat.teams").Swarm
        self._is_team = isinstance(agent, load("autogen_agentchat.base").Team)
        self._as_found: Any = None

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        token = load("autogen_core").CancellationToken()
        work = asyncio.create_task(self._turn(asked, emit, token))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await until_done(asyncio.create_task(self._stop(work, token)))
            raise
        finally:
            token.cancel()  # Ends the tools that ran beside one that failed.

    async def _stop(self, work: asyncio.Task[Any], token: Any) -> None:
        """A team works in tasks of its own, and waits for them when it is cancelled."""
        token.cancel()
        while not work.done():
            tasks = [task for team in _teams(self._agent) for task in _tasks(team)]
            for task in tasks or [work]:
                task.cancel()
            await asyncio.wait([work], timeout=0.05)

    async def _turn(self, asked: Asked, emit: Emit, token: Any) -> Answered:
        await self._load(asked.state)
        telling = Telling(self._agent, emit)
        stream = self._agent.run_stream(
            task=_task(asked), cancellation_token=token, output_task_messages=False
        )
        async with aclosing(stream) as events:
            async for event in events:
                telling(event)
        last = telling.end()
        state = {
            "agent": to_jsonable_python(await self._agent.save_state()),
            "handed_over_by": last.source if self._waits_for_user(last) else None,
        }
        return Answered(telling.text, state=state, output=telling.output)

    async def _load(self, state: Any) -> None:
        if self._as_found is None:
            self._as_found = await self._agent.save_state()
        # The conditions of a team's end are no part of its state, and may be half fulfilled.
        if self._is_team:
            await self._agent.reset()
        else:
            await self._agent.on_reset(load("autogen_core").CancellationToken())
        await self._agent.load_state(state["agent"] if state else self._as_found)

    def _waits_for_user(self, last: Any) -> bool:
        """Whether it is a `Swarm` that only goes on with a handoff back."""
        if not isinstance(self._agent, self._swarm):
            return False
        is_handoff = isinstance(last, load("autogen_agentchat.messages").HandoffMessage)
        return is_handoff and last.target not in speakers(self._agent)


def _check(agent: Any) -> None:
    """Raises Unsupported for what would wait for the console, or never end."""
    proxy = load("autogen_agentchat.agents._user_proxy_agent")
    for member in _members(agent):
        if getattr(member, "input_func", None) is proxy.cancellable_input:
            raise Unsupported(
                f"{member.name} is a UserProxyAgent that reads from the console. Leave it out: "
                "the user's answer is the next message, if the team ends by then, for example "
                'with termination_condition=HandoffTermination("user").'
            )
    for team in _teams(agent):
        ends = (team._termination_condition, team._max_turns)
        if type(team).__name__ in ENDLESS and ends == (None, None):
            raise Unsupported(
                f"its {type(team).__name__} never ends: give it a termination_condition or "
                "max_turns, such as the number of its members."
            )


def _teams(agent: Any) -> Iterator[Any]:
    """It, if it is a team, and those within it."""
    for member in getattr(agent, "_participants", ()):
        yield from _teams(member)
    if inner := getattr(agent, "_team", None):  # Of a `SocietyOfMindAgent`.
        yield from _teams(inner)
    if hasattr(agent, "_participants"):
        yield agent


def _members(agent: Any) -> list[Any]:
    """All agents that are at work in it."""
    return [agent, *(member for team in _teams(agent) for member in team._participants)]


def _tasks(team: Any) -> list[asyncio.Task[Any]]:
    """What the team works in; nothing public can stop it."""
    return list(team._runtime._background_tasks) if team._embedded_runtime else []


def _let_tools_fail(agent: Any) -> None:
    """An `AssistantAgent` reads what its tools stream, and nobody else would end that stream."""
    kind = agent.__class__

    class Failing(kind):  # type: ignore[misc, valid-type]
        @staticmethod
        async def _execute_tool_call(*, stream: Any, **call: Any) -> Any:
            try:
                return await failing(kind._execute_tool_call(stream=stream, **call))
            except BaseException:
                stream.put_nowait(None)
                raise

    agent._process_model_result = Failing._process_model_result


def _task(asked: Asked) -> Any:
    messages, image = load("autogen_agentchat.messages"), load("autogen_core").Image
    task: list[Any] = []
    if asked.state and asked.state["handed_over_by"]:
        back_to = asked.state["handed_over_by"]
        task.append(messages.HandoffMessage(content=asked.message, source="user", target=back_to))
    if asked.parts:
        content = [
            part["text"] if part["type"] == "text" else image.from_base64(_data(part))
            for part in asked.parts
            if part["type"] != "file"
        ]
        task.append(messages.MultiModalMessage(content=content, source="user"))
    return task or [messages.TextMessage(content=asked.message, source="user")]


def _data(part: Any) -> str:
    """In base64. We fetch nothing on a client's behalf."""
    url = part.get("url", "")
    if "data" not in part and not url.startswith("data:"):
        raise ValueError("AutoGen takes images as data, and not by their address")
    return str(part.get("data") or url.partition(",")[2])


FRAMEWORK = Framework(
    name="AutoGen",
    package="autogen-agentchat",
    version="0.7.5",
    classes=frozenset({AGENT, TEAM}),
    adapt=AutogenAdapter,
    is_shared=False,
    takes=frozenset({"image"}),
    takes_urls=False,
)
