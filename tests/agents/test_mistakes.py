"""What beginners serve: it works, or the error says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from runner.agents.base import About, Message
from runner.agents.boundary import Boundary
from runner.agents.callee import as_callee
from runner.agents.frameworks import MODELS
from runner.agents.frameworks.framework import Unsupported
from runner.agents.kinds import AgentPerConversation, SharedAgent
from runner.agents.threads import Threads
from strategies import AgentFailed
from tests.support.asking import ask

ABOUT = About("test", "for the test", wants_history=False, single_conversation=False)


def shared(target: object) -> SharedAgent:
    boundary = Boundary(Threads(1), 1_000)
    callee = as_callee(target, boundary.in_thread)
    assert callee is not None
    return SharedAgent(ABOUT, callee, boundary)


async def test_history_and_message_may_stand_in_either_order() -> None:
    async def agent(history: Sequence[Message], message: str) -> str:
        return f"{message} {len(history)}"

    assert await ask(shared(agent), "c", "hi", [{"role": "user", "content": "x"}]) == "hi 1"


async def test_a_frameworks_result_is_no_reply() -> None:
    """All messages are in it, instructions too, and would be told to the client."""

    @dataclass
    class RunResult:
        output: str

    RunResult.__module__ = "pydantic_ai.run"

    async def agent(message: str) -> Any:
        return RunResult("text")

    with pytest.raises(AgentFailed, match="RunResult, a framework's result: return its text"):
        await ask(shared(agent), "c", "hi")


@pytest.mark.parametrize(("module", "name"), sorted(MODELS))
def test_a_model_is_no_agent(module: str, name: str) -> None:
    kind = type(name, (), {"__module__": module, "chat": lambda self, message: "hi"})
    with pytest.raises(Unsupported, match="a model, and no agent"):
        as_callee(kind(), Boundary(Threads(1), 1_000).in_thread)


class Remembers:
    def __init__(self) -> None:
        self.said: list[str] = []

    async def answer(self, message: str) -> str:
        self.said.append(message)
        return str(self.said)


def made_by(factory: Any) -> AgentPerConversation:
    return AgentPerConversation(ABOUT, factory, frozenset(), {}, Boundary(Threads(1), 1_000))


async def test_a_factory_that_returns_one_object_twice_mixes_no_conversations() -> None:
    only = Remembers()
    agent = made_by(lambda: only)
    assert await ask(agent, "one", "secret") == "['secret']"
    with pytest.raises(AgentFailed, match="one object for two conversations"):
        await ask(agent, "two", "hello")
    assert await ask(agent, "one", "again") == "['secret', 'again']"


async def test_a_factory_may_return_one_function_twice() -> None:
    async def echo(message: str) -> str:
        return message

    agent = made_by(lambda: echo)
    assert [await ask(agent, name, name) for name in "ab"] == ["a", "b"]
