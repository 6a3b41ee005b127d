"""The adapter of Pydantic AI, asked as the runner asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from runner.agents.base import Answered, Asked, Progress, Reasoning, ToolCall, ToolResult, Usage
from runner.agents.frameworks.framework import Unsupported
from runner.agents.frameworks.pydantic_ai import FRAMEWORK
from runner.agents.requests import Decision
from tests.frameworks.examples import load_example

pydantic_ai = pytest.importorskip("pydantic_ai", reason="Pydantic AI is not installed")

IMAGE = {"type": "image", "media_type": "image/png", "data": "iVBORw0KGgo="}


async def in_thread(function: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(function)


@pytest.fixture
def agent() -> Any:
    return load_example("pydantic_ai").agent


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
    assert isinstance(usage, Usage)
    assert usage.output_tokens > 0


async def test_what_the_model_thinks_is_told_apart_from_what_it_says() -> None:
    async def respond(messages: Any, info: Any) -> Any:
        yield {0: function_model().DeltaThinkingPart(content="hm")}
        yield {0: function_model().DeltaThinkingPart(content=", well")}
        yield "yes"

    conversation = Conversation(pydantic_ai.Agent(streaming(respond)))
    assert (await conversation.ask("hello")).text == "yes"
    assert conversation.progress[:2] == [Reasoning("hm"), Reasoning(", well")]


async def test_a_failed_turn_raises_what_the_model_raised_and_leaves_no_trace(agent: Any) -> None:
    conversation = Conversation(agent)
    await conversation.ask("hello")
    with pytest.raises(RuntimeError, match="secret"):
        await conversation.ask("fail")
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


async def test_a_cancelled_turn_waits_for_its_tool_to_clean_up() -> None:
    done: list[str] = []

    async def respond(messages: Any, info: Any) -> Any:
        yield {0: function_model().DeltaToolCall("tidy", "{}")}

    async def tidy() -> str:
        try:
            done.append("started")
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.01)
            done.append("tidied")
        return ""

    turn = asyncio.create_task(said(pydantic_ai.Agent(streaming(respond), tools=[tidy]), "hello"))
    while not done:
        await asyncio.sleep(0.001)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(turn, 5)
    assert done == ["started", "tidied"]


async def test_the_users_object_gets_no_name_from_us(agent: Any) -> None:
    await said(agent, "hello")
    assert agent.name is None


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


@pytest.mark.parametrize("reason", ["", "it is needed"])
async def test_a_refused_tool_does_not_run_and_the_model_is_told_why(
    agent: Any, reason: str
) -> None:
    conversation = Conversation(agent)
    (request,) = (await conversation.ask("delete a.txt")).requests
    reply = await conversation.ask("no", resume={request.id: Decision(False, reason=reason)})
    assert reply.text == "1: kept a.txt"
    told = reason or "The tool call was denied."
    assert (await conversation.ask("results")).text == f"2: {told}"


async def test_a_turn_that_goes_on_may_ask_again() -> None:
    async def respond(messages: Any, info: Any) -> Any:
        yield {0: function_model().DeltaToolCall("delete_file", f'{{"path": "{len(messages)}"}}')}

    async def delete_file(path: str) -> str:
        return path

    agent = pydantic_ai.Agent(
        streaming(respond),
        tools=[pydantic_ai.Tool(delete_file, requires_approval=True)],
        output_type=[str, pydantic_ai.DeferredToolRequests],
    )
    conversation = Conversation(agent)
    (first,) = (await conversation.ask("hello")).requests
    (second,) = (await conversation.ask("", resume={first.id: Decision(True)})).requests
    assert (first.arguments, second.arguments) == ({"path": "1"}, {"path": "3"})
    assert first.id != second.id


@pytest.fixture
def caller_elsewhere() -> Any:
    """An agent with a tool that runs elsewhere, beside one to be approved."""

    async def respond(messages: Any, info: Any) -> Any:
        results = [part for part in messages[-1].parts if part.part_kind == "tool-return"]
        if results:
            yield ", ".join(f"{one.outcome} {one.model_response_str()}" for one in results)
        else:
            call = function_model().DeltaToolCall
            yield {0: call("measure", '{"place": "attic"}'), 1: call("delete_file", "{}")}

    async def measure(place: str) -> str:
        raise pydantic_ai.CallDeferred

    async def delete_file() -> str:
        return "deleted"

    return pydantic_ai.Agent(
        streaming(respond),
        tools=[measure, pydantic_ai.Tool(delete_file, requires_approval=True)],
        output_type=[str, pydantic_ai.DeferredToolRequests],
    )


async def test_a_tool_that_runs_elsewhere_is_a_question_whose_answer_is_its_result(
    caller_elsewhere: Any,
) -> None:
    conversation = Conversation(caller_elsewhere)
    requests = (await conversation.ask("hello")).requests
    by_name = {request.name: request for request in requests}
    assert by_name["measure"].kind == "question"
    assert by_name["measure"].arguments == {"place": "attic"}
    decisions = {
        by_name["measure"].id: Decision(True, value={"celsius": 31}),
        by_name["delete_file"].id: Decision(True),
    }
    reply = await conversation.ask("", resume=decisions)
    assert reply.text == 'success {"celsius":31}, success deleted'


async def test_a_tool_elsewhere_without_a_result_has_failed(caller_elsewhere: Any) -> None:
    conversation = Conversation(caller_elsewhere)
    requests = (await conversation.ask("hello")).requests
    refusal = Decision(False, reason="out of reach")
    reply = await conversation.ask("", resume={request.id: refusal for request in requests})
    assert "failed" in reply.text
    assert "out of reach" in reply.text
    assert "denied out of reach" in reply.text


# What comes in, and what goes out.


async def test_images_and_files_reach_the_model_and_stay_in_the_conversation(agent: Any) -> None:
    parts = (
        {"type": "text", "text": "look"},
        IMAGE,
        {"type": "image", "url": "https://example.org/without-an-extension"},
        {"type": "file", "name": "a.png", "media_type": "image/png", "data": "iVBORw0KGgo="},
        {"type": "file", "name": "a.pdf", "media_type": "application/pdf", "data": "iVBORw0KGgo="},
        {"type": "file", "name": "b", "media_type": "text/plain", "url": "https://example.org/b"},
    )
    conversation = Conversation(agent)
    assert (await conversation.ask("look", parts=parts)).text == "1: saw 3 images"
    assert (await conversation.ask("hello")).text == "2: you said hello"
    assert IMAGE["data"] in json.dumps(conversation.state)


async def test_structured_output_is_output_and_its_json_the_text() -> None:
    from pydantic import BaseModel

    class City(BaseModel):
        name: str
        people: int

    args = {"name": "Wien", "people": 2}
    model = import_module("pydantic_ai.models.test").TestModel(custom_output_args=args)
    reply = await Conversation(pydantic_ai.Agent(model, output_type=City)).ask("where?")
    assert reply.output == args
    assert json.loads(reply.text) == args


async def test_a_text_that_the_model_gave_by_a_tool_is_the_reply() -> None:
    def shout(text: str) -> str:
        return text.upper()

    model = import_module("pydantic_ai.models.test").TestModel(custom_output_args={"text": "hi"})
    reply = await Conversation(pydantic_ai.Agent(model, output_type=shout)).ask("hello")
    assert (reply.text, reply.output) == ("HI", None)


async def test_what_is_said_before_a_tool_and_after_it_is_one_text() -> None:
    async def respond(messages: Any, info: Any) -> Any:
        if messages[-1].parts[0].part_kind == "tool-return":
            yield "It is 5."
        else:
            yield "Let me see. "
            yield {1: function_model().DeltaToolCall("now", "{}")}

    agent = pydantic_ai.Agent(streaming(respond), tools=[now])
    assert await said(agent, "what time is it?") == "Let me see. It is 5."


async def test_a_model_that_does_not_stream_is_asked_without() -> None:
    messages = import_module("pydantic_ai.messages")

    def respond(seen: Any, info: Any) -> Any:
        if seen[-1].parts[0].part_kind == "tool-return":
            return messages.ModelResponse([messages.TextPart(f"It is 5, {len(seen)}.")])
        before = messages.TextPart("Let me see. ")
        return messages.ModelResponse([before, messages.ToolCallPart("now", {})])

    agent = pydantic_ai.Agent(function_model().FunctionModel(respond), tools=[now])
    conversation = Conversation(agent)
    assert (await conversation.ask("what time is it?")).text == "Let me see. It is 5, 3."
    assert conversation.pieces == []


async def test_an_agent_with_deps_is_refused_unless_it_brings_them() -> None:
    async def respond(messages: Any, info: Any) -> Any:
        yield info.instructions

    def instructions(context: Any) -> str:
        return f"You are {context.deps['user']}."

    agent = pydantic_ai.Agent(streaming(respond), deps_type=dict, instructions=instructions)
    with pytest.raises(Unsupported, match="WithDeps"):
        FRAMEWORK.adapt(agent, in_thread)

    class WithDeps(import_module("pydantic_ai.agent").WrapperAgent):  # type: ignore[misc]
        deps_type = object

        async def run(self, *args: Any, **options: Any) -> Any:
            return await super().run(*args, **options | {"deps": {"user": "Ada"}})

    assert await said(WithDeps(agent), "who am I?") == "You are Ada."


async def now() -> int:
    return 5


def function_model() -> Any:
    return import_module("pydantic_ai.models.function")


def streaming(respond: Any) -> Any:
    return function_model().FunctionModel(stream_function=respond)
