"""The adapter of the OpenAI Agents SDK, asked as the runner asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from runner.agents.base import Answered, Asked, Progress, Reasoning, ToolCall, ToolResult, Usage
from runner.agents.frameworks.openai_agents import FRAMEWORK
from runner.agents.requests import Decision
from tests.frameworks.examples import load_example

agents = pytest.importorskip("agents", reason="the OpenAI Agents SDK is not installed")
testing = pytest.importorskip("agents.testing", reason="this is no OpenAI Agents SDK, or too old")

IMAGE = {"type": "image", "media_type": "image/png", "data": "iVBORw0KGgo="}


async def in_thread(function: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(function)


@pytest.fixture
def agent() -> Any:
    return load_example("openai_agents").agent


class Conversation:
    """Asks an agent turn by turn, with a new adapter and a state out of JSON each time."""

    def __init__(self, agent: Any, state: Any = None) -> None:
        self.agent, self.state = agent, state
        self.emitted: list[str | Progress] = []

    async def ask(self, message: str, **more: Any) -> Answered:
        self.emitted = []
        adapter = FRAMEWORK.adapt(self.agent, in_thread)
        asked = Asked("c", message, state=self.state, **more)
        answered = await adapter.answer(asked, self.emitted.append)
        self.state = json.loads(json.dumps(answered.state, allow_nan=False))
        assert self.pieces == [] or "".join(self.pieces) == answered.text
        assert "" not in self.pieces
        return answered

    @property
    def pieces(self) -> list[str]:
        return [one for one in self.emitted if isinstance(one, str)]

    @property
    def progress(self) -> list[Progress]:
        return [one for one in self.emitted if not isinstance(one, str)]


async def said(agent: Any, *messages: str) -> str:
    """The last reply of a new conversation."""
    conversation = Conversation(agent)
    replies = [await conversation.ask(message) for message in messages]
    return replies[-1].text


async def test_an_agent_is_recognised_by_a_class_above_its_own(agent: Any) -> None:
    names = {(c.__module__, c.__name__) for c in type(agent).__mro__}
    assert names & FRAMEWORK.classes


async def test_an_agent_for_voice_is_refused() -> None:
    kind = import_module("agents.realtime").RealtimeAgent
    names = {(c.__module__, c.__name__) for c in kind.__mro__}
    assert not names & FRAMEWORK.classes
    assert names & set(FRAMEWORK.refused)


async def test_a_conversation_goes_on_from_its_state(agent: Any) -> None:
    assert await said(agent, "hello") == "1: you said hello"
    assert await said(agent, "hello", "again", "and again") == "3: you said and again"


async def test_two_conversations_in_turn_do_not_mix(agent: Any) -> None:
    one, other = Conversation(agent), Conversation(agent)
    await one.ask("hello")
    await one.ask("add 1 2")
    assert (await other.ask("results")).text == "1: none"
    assert (await one.ask("results")).text == "3: 3"


async def test_two_conversations_at_once_do_not_mix(agent: Any) -> None:
    one, other = Conversation(agent), Conversation(agent)
    await one.ask("hello")
    replies = await asyncio.gather(one.ask("add 1 2"), other.ask("add 3 4"))
    assert [reply.text for reply in replies] == ["2: the sum is 3", "1: the sum is 7"]


async def test_a_reply_comes_in_pieces(agent: Any) -> None:
    conversation = Conversation(agent)
    await conversation.ask("hello")
    assert conversation.pieces == ["1: ", "you said hello"]


async def test_a_tools_result_is_seen_in_the_next_turn(agent: Any) -> None:
    assert await said(agent, "add 2 3", "results") == "2: 5"


async def test_a_tool_call_its_result_and_the_usage_are_told(agent: Any) -> None:
    conversation = Conversation(agent)
    await conversation.ask("add 2 3")
    call, result, usage = conversation.progress
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("add", {"a": 2, "b": 3})
    assert result == ToolResult(call.id, "add", 5)
    assert usage == Usage(20, 2)


async def test_what_the_model_thinks_is_told_apart_from_what_it_says() -> None:
    reasoning = {
        "type": "reasoning",
        "id": "r",
        "summary": [{"type": "summary_text", "text": "hm"}],
    }
    kind = import_module("openai.types.responses").ResponseReasoningItem
    conversation = Conversation(
        scripted([kind.model_validate(reasoning), testing.assistant_message("yes")])
    )
    assert (await conversation.ask("hello")).text == "yes"
    assert conversation.progress[0] == Reasoning("hm")


async def test_a_failed_turn_raises_what_the_model_raised_and_leaves_no_trace(agent: Any) -> None:
    conversation = Conversation(agent)
    await conversation.ask("hello")
    before = asyncio.all_tasks()
    with pytest.raises(RuntimeError, match="secret"):
        await conversation.ask("fail")
    assert asyncio.all_tasks() == before
    assert (await conversation.ask("again")).text == "2: you said again"


async def test_a_cancelled_turn_leaves_nothing_running_and_no_trace(agent: Any) -> None:
    conversation = Conversation(agent)
    await conversation.ask("hello")
    before = asyncio.all_tasks()
    turn = asyncio.create_task(conversation.ask("slow"))
    while not conversation.pieces:
        await asyncio.sleep(0.001)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(turn, 5)
    assert asyncio.all_tasks() == before
    assert (await conversation.ask("again")).text == "2: you said again"


async def test_a_turn_that_cannot_be_heard_is_stopped_at_once(agent: Any) -> None:
    def emit(piece: str | Progress) -> None:
        raise ValueError("too long")

    before = asyncio.all_tasks()
    adapter = FRAMEWORK.adapt(agent, in_thread)
    with pytest.raises(ValueError, match="too long"):
        await asyncio.wait_for(adapter.answer(Asked("c", "slow"), emit), 5)
    assert asyncio.all_tasks() == before


async def test_a_cancelled_turn_cancels_its_tool() -> None:
    """Which the framework does not wait for, though."""
    done: list[str] = []

    async def tidy() -> str:
        try:
            done.append("started")
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.01)
            done.append("tidied")
        return ""

    agent = scripted([call("tidy")], tools=[agents.function_tool(tidy)])
    before = asyncio.all_tasks()
    turn = asyncio.create_task(said(agent, "hello"))
    while not done:
        await asyncio.sleep(0.001)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(turn, 5)
    async with asyncio.timeout(5):
        while asyncio.all_tasks() != before:
            await asyncio.sleep(0.001)
    assert done == ["started", "tidied"]


# Requests.


async def test_a_tool_to_be_approved_ends_the_turn(agent: Any) -> None:
    reply = await Conversation(agent).ask("delete a.txt")
    (request,) = reply.requests
    assert (request.kind, request.name) == ("approval", "delete_file")
    assert request.arguments == {"path": "a.txt"}
    assert reply.text == ""


async def test_an_approved_tool_runs(agent: Any) -> None:
    conversation = Conversation(agent)
    await conversation.ask("hello")
    (request,) = (await conversation.ask("delete a.txt")).requests
    reply = await conversation.ask("approved", resume={request.id: Decision(True)})
    assert reply.text == "2: deleted a.txt"
    assert reply.requests == ()
    assert (await conversation.ask("results")).text == "3: deleted a.txt"


async def test_the_turn_after_an_approval_tells_its_own_results_and_usage(agent: Any) -> None:
    conversation = Conversation(agent)
    (request,) = (await conversation.ask("delete a.txt")).requests
    await conversation.ask("approved", resume={request.id: Decision(True)})
    result, usage = conversation.progress
    assert result == ToolResult(request.id, "delete_file", "deleted a.txt")
    assert usage == Usage(10, 1)


@pytest.mark.parametrize("reason", ["", "it is needed"])
async def test_a_refused_tool_does_not_run_and_the_model_is_told_why(
    agent: Any, reason: str
) -> None:
    conversation = Conversation(agent)
    (request,) = (await conversation.ask("delete a.txt")).requests
    reply = await conversation.ask("no", resume={request.id: Decision(False, reason=reason)})
    assert reply.text == "1: kept a.txt"
    told = reason or "Tool execution was not approved."
    assert (await conversation.ask("results")).text == f"2: {told}"


async def test_each_of_several_tools_gets_its_own_decision() -> None:
    async def echo(word: str) -> str:
        return word

    tool = agents.function_tool(needs_approval=True)(echo)
    words = [call("echo", id=word, word=word) for word in ("one", "two")]
    agent = scripted(
        [testing.assistant_message("Let me see. "), *words],
        [testing.assistant_message("Done.")],
        tools=[tool],
    )
    conversation = Conversation(agent)
    asked = await conversation.ask("hello")
    assert asked.text == "Let me see. "
    assert [request.id for request in asked.requests] == ["one", "two"]
    decisions = {"two": Decision(False, reason="no"), "one": Decision(True)}
    assert (await conversation.ask("", resume=decisions)).text == "Done."
    results = [one for one in conversation.progress if isinstance(one, ToolResult)]
    assert {result.id: result.content for result in results} == {"one": "one", "two": "no"}


async def test_a_turn_that_goes_on_may_ask_again() -> None:
    async def echo(word: str) -> str:
        return word

    tool = agents.function_tool(needs_approval=True)(echo)
    first, second = call("echo", id="one", word="1"), call("echo", id="two", word="2")
    end = testing.assistant_message("Done.")
    conversation = Conversation(scripted([first], [second], [end], tools=[tool]))
    await conversation.ask("hello")
    (again,) = (await conversation.ask("", resume={"one": Decision(True)})).requests
    assert again.id == "two"
    assert (await conversation.ask("", resume={"two": Decision(True)})).text == "Done."


# What comes in, and what goes out.


async def test_images_and_files_reach_the_model_and_stay_in_the_conversation(agent: Any) -> None:
    parts = (
        {"type": "text", "text": "look"},
        IMAGE,
        {"type": "image", "url": "https://example.org/a.png"},
        {"type": "file", "name": "a.pdf", "media_type": "application/pdf", "data": "iVBORw0KGgo="},
        {"type": "file", "name": "b", "media_type": "text/plain", "url": "https://example.org/b"},
    )
    conversation = Conversation(agent)
    assert (await conversation.ask("look", parts=parts)).text == "1: saw 2 images"
    assert (await conversation.ask("hello")).text == "2: you said hello"
    content = conversation.state[0]["content"]
    assert content[1]["image_url"] == "data:image/png;base64,iVBORw0KGgo="
    assert content[3]["file_data"] == "data:application/pdf;base64,iVBORw0KGgo="
    assert content[4]["file_url"] == "https://example.org/b"


async def test_structured_output_is_output_and_its_json_the_text() -> None:
    from pydantic import BaseModel

    class City(BaseModel):
        name: str
        people: int

    city = {"name": "Wien", "people": 2}
    message = testing.assistant_message(json.dumps(city))
    reply = await Conversation(scripted([message], output_type=City)).ask("where?")
    assert reply.output == city
    assert json.loads(reply.text) == city


async def test_a_tools_result_that_ends_the_run_is_the_reply() -> None:
    async def now() -> str:
        return "five"

    tool = agents.function_tool(now)
    agent = scripted([call("now")], tools=[tool], tool_use_behavior="stop_on_first_tool")
    reply = await Conversation(agent).ask("what time is it?")
    assert (reply.text, reply.output) == ("five", None)


async def test_what_is_said_before_a_tool_and_after_it_is_one_text() -> None:
    async def now() -> int:
        return 5

    agent = scripted(
        [testing.assistant_message("Let me see. "), call("now")],
        [testing.assistant_message("It is 5.")],
        tools=[agents.function_tool(now)],
    )
    assert await said(agent, "what time is it?") == "Let me see. It is 5."


async def test_every_turn_starts_with_the_agent_that_is_served() -> None:
    expert = scripted([testing.assistant_message("I know.")])
    first = scripted(
        [call("transfer_to_expert")],
        [testing.assistant_message("What else?")],
        handoffs=[agents.handoff(expert, tool_name_override="transfer_to_expert")],
    )
    conversation = Conversation(first)
    assert (await conversation.ask("hello")).text == "I know."
    names = [getattr(one, "name", None) for one in conversation.progress]
    assert names == ["transfer_to_expert", "transfer_to_expert", None]
    assert (await conversation.ask("thanks")).text == "What else?"


# Traces.


async def test_traces_are_off(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.tracing.setup.GLOBAL_TRACE_PROVIDER", None)
    FRAMEWORK.adapt(agent, in_thread)
    assert agents.trace("a").export() is None


async def test_traces_are_on_where_the_agents_module_said_so(
    agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.tracing.setup.GLOBAL_TRACE_PROVIDER", None)
    agents.set_tracing_disabled(False)
    FRAMEWORK.adapt(agent, in_thread)
    assert agents.trace("a").export() is not None


def scripted(*steps: Any, **options: Any) -> Any:
    """An agent whose model gives these, one for each time that it is asked."""
    return agents.Agent(name="scripted", model=testing.ScriptedModel(steps), **options)


def call(name: str, id: str = "call", **arguments: Any) -> Any:
    return testing.function_call(name, arguments, call_id=id)
