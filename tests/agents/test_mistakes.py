"""What beginners serve: it works, or the error says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
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


async def in_order(message: str, history: Sequence[Message]) -> str:
    return f"{message} {len(history)}"


async def the_other_way_round(history: Sequence[Message], message: str) -> str:
    return f"{message} {len(history)}"


async def history_and_a_text(history: Sequence[Message], text: str) -> str:
    return f"{text} {len(history)}"


async def past_and_message(past: Sequence[Message], message: str) -> str:
    return f"{message} {len(past)}"


async def names_of_ones_own(question: str, past: Sequence[Message]) -> str:
    return f"{question} {len(past)}"


async def by_position_only(history: Sequence[Message], message: str, /) -> str:
    return f"{message} {len(history)}"


async def by_name_only(*, message: str, history: Sequence[Message]) -> str:
    return f"{message} {len(history)}"


async def history_by_name_if_there_is_any(text: str, *, history: Sequence[Message] = ()) -> str:
    return f"{text} {len(history)}"


async def after_something_else(
    message: str, mood: str = "", history: Sequence[Message] = ()
) -> str:
    return f"{message} {mood}{len(history)}"


async def parts_first(parts: list[Any], history: Sequence[Message], message: str) -> str:
    return f"{parts[0]['text']} {len(history)}"


@pytest.mark.parametrize(
    "agent",
    [
        in_order,
        the_other_way_round,
        history_and_a_text,
        past_and_message,
        names_of_ones_own,
        by_position_only,
        by_name_only,
        history_by_name_if_there_is_any,
        after_something_else,
        parts_first,
    ],
)
async def test_message_and_history_arrive_where_their_names_stand(agent: Any) -> None:
    assert await ask(shared(agent), "c", "hi", [{"role": "user", "content": "x"}]) == "hi 1"


async def test_what_was_given_already_is_not_given_again() -> None:
    agent = partial(in_order, history=[])
    assert await ask(shared(agent), "c", "hi", [{"role": "user", "content": "x"}]) == "hi 0"


class ModelledAgent:
    async def run(self, message: str) -> str:
        return message


AbstractAgent = type("AbstractAgent", (), {"__module__": "pydantic_ai.agent.abstract"})
FrameworksAgent = type("Agent", (AbstractAgent,), {"__module__": "pydantic_ai.agent"})


@pytest.mark.parametrize(
    "made",
    [ModelledAgent(), lambda message: message, FrameworksAgent()],
    ids=["an object", "a function", "a framework's agent"],
)
async def test_a_function_that_returns_an_agent_is_told_that_it_is_a_factory(made: object) -> None:
    async def make(model: str) -> object:
        return made

    with pytest.raises(AgentFailed, match="which is an agent: so it is a factory"):
        await ask(shared(make), "c", "hi")


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
