"""The adapter of the Microsoft Agent Framework, with the example's agent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from runner.agents.base import (
    Answered,
    Asked,
    ImagePart,
    Json,
    Part,
    Progress,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
    unheard,
)
from runner.agents.frameworks.agent_framework import FRAMEWORK
from runner.agents.frameworks.framework import Adapter, Unsupported
from runner.agents.requests import Decision
from tests.frameworks.examples import load_example

af = pytest.importorskip("agent_framework", reason="the Microsoft Agent Framework is not installed")


@pytest.fixture
def agent() -> Any:
    return load_example("agent_framework").agent


@pytest.fixture
def adapter(agent: Any) -> Adapter:
    return adapter_of(agent)


def adapter_of(agent: Any) -> Adapter:
    async def in_thread(function: Any) -> Any:
        raise AssertionError("it needs no thread")

    return FRAMEWORK.adapt(agent, in_thread)


async def ask(
    adapter: Adapter,
    message: str,
    state: Json = None,
    *,
    parts: tuple[Part, ...] = (),
    resume: Mapping[str, Decision] | None = None,
    heard: list[str | Progress] | None = None,
) -> Answered:
    """A turn whose state comes from JSON and goes there."""
    asked = Asked("c", message, state=json.loads(json.dumps(state)), parts=parts, resume=resume)
    answered = await adapter.answer(asked, unheard if heard is None else heard.append)
    json.dumps(answered.state, allow_nan=False)
    return answered


async def test_the_state_carries_the_conversation_into_a_new_adapter(agent: Any) -> None:
    first = await ask(adapter_of(agent), "hello")
    second = await ask(adapter_of(agent), "again", first.state)

    assert (first.text, second.text) == ("1: you said hello", "2: you said again")


async def test_conversations_do_not_mix(adapter: Adapter) -> None:
    one = await ask(adapter, "a")
    other = await ask(adapter, "b")

    assert (await ask(adapter, "c", one.state)).text == "2: you said c"
    assert (await ask(adapter, "d", other.state)).text == "2: you said d"


async def test_two_turns_at_once_do_not_mix(adapter: Adapter) -> None:
    first = await ask(adapter, "a")

    answers = await asyncio.gather(ask(adapter, "b", first.state), ask(adapter, "c"))

    assert [one.text for one in answers] == ["2: you said b", "1: you said c"]


async def test_the_pieces_are_the_text(adapter: Adapter) -> None:
    heard: list[str | Progress] = []

    answered = await ask(adapter, "hello", heard=heard)

    pieces = [one for one in heard if isinstance(one, str)]
    assert pieces == ["1: ", "you said hello"]
    assert answered.text == "".join(pieces)


async def test_a_tool_is_told_and_its_result_is_seen_in_the_next_turn(adapter: Adapter) -> None:
    heard: list[str | Progress] = []

    first = await ask(adapter, "add 2 3", heard=heard)
    second = await ask(adapter, "results", first.state)

    assert first.text == "1: the sum is 5"
    assert second.text == "2: 5"
    call, result = heard[:2]
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("add", {"a": 2, "b": 3})
    assert result == ToolResult(call.id, "add", 5)
    assert heard[-1] == Usage(input_tokens=4, output_tokens=2)


async def test_a_failure_leaves_nothing(adapter: Adapter) -> None:
    first = await ask(adapter, "hello")

    with pytest.raises(RuntimeError, match=r"^secret$"):
        await ask(adapter, "fail", first.state)

    assert (await ask(adapter, "again", first.state)).text == "2: you said again"


async def test_a_cancelled_turn_leaves_nothing(adapter: Adapter) -> None:
    first = await ask(adapter, "hello")
    before = asyncio.all_tasks()
    started = asyncio.Event()
    asked = Asked("c", "slow", state=first.state)

    turn = asyncio.create_task(adapter.answer(asked, lambda _: started.set()))
    await started.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn

    assert asyncio.all_tasks() == before
    assert (await ask(adapter, "again", first.state)).text == "2: you said again"


@pytest.mark.parametrize(
    ("approve", "words", "seen"),
    [(True, "1: deleted F", "2: deleted F"), (False, "1: kept F", "2: Error: ")],
)
async def test_a_decision_resumes_the_turn_in_a_new_adapter(
    agent: Any, approve: bool, words: str, seen: str
) -> None:
    first = await ask(adapter_of(agent), "delete F")
    (request,) = first.requests
    assert (request.kind, request.name, request.arguments) == (
        "approval",
        "delete_file",
        {"path": "F"},
    )

    resume = {request.id: Decision(approve)}
    second = await ask(adapter_of(agent), "", first.state, resume=resume)

    assert second.text == words
    assert second.requests == ()
    assert (await ask(adapter_of(agent), "results", second.state)).text.startswith(seen)


async def test_each_of_several_calls_is_decided_by_itself(agent: Any) -> None:
    base, tools = af.BaseChatClient, af.FunctionInvocationLayer

    class AllAtOnce(tools, base):  # type: ignore[misc, valid-type]
        def _inner_get_response(self, *, messages: Any, **_: Any) -> Any:
            async def updates() -> Any:
                contents = [af.Content.from_text("done")]
                if messages[-1].role == "user":
                    contents = [
                        af.Content.from_function_call(id, name, arguments=arguments)
                        for id, name, arguments in (
                            ("c1", "delete_file", '{"path": "F"}'),
                            ("c2", "add", '{"a": 1, "b": 2}'),
                            ("c3", "delete_file", '{"path": "G"}'),
                        )
                    ]
                yield af.ChatResponseUpdate(role="assistant", contents=contents)

            return self._build_response_stream(updates())

    agent.client = AllAtOnce()
    first = await ask(adapter_of(agent), "go")
    one, other = first.requests
    heard: list[str | Progress] = []

    resume = {one.id: Decision(True), other.id: Decision(False)}
    await ask(adapter_of(agent), "", first.state, resume=resume, heard=heard)

    assert heard == [
        ToolResult("c1", "delete_file", "deleted F"),
        ToolResult("c2", "add", 3),
        ToolResult("c3", "delete_file", "Error: Tool call invocation was rejected by user."),
        "done",
    ]


async def test_images_reach_the_model_in_this_turn_and_the_next(adapter: Adapter) -> None:
    parts = (
        TextPart(type="text", text="look"),
        ImagePart(type="image", url="https://example.org/a.png"),
        ImagePart(type="image", media_type="image/png", data="iVBORw0KGgo="),
    )

    first = await ask(adapter, "look", parts=parts)

    assert first.text == "1: saw 2 images"
    assert (await ask(adapter, "again", first.state)).text == "2: you said again"


class Verdict(BaseModel):
    good: bool


async def test_structured_output_is_json(agent: Any) -> None:
    base = af.BaseChatClient

    class Judge(base):  # type: ignore[misc, valid-type]
        def _inner_get_response(self, *, stream: bool, options: Any, **_: Any) -> Any:
            async def updates() -> Any:
                yield af.ChatResponseUpdate(
                    role="assistant", contents=[af.Content.from_text('{"good":true}')]
                )

            return self._build_response_stream(
                updates(), response_format=options["response_format"]
            )

    judge = af.Agent(Judge(), default_options={"response_format": Verdict})

    answered = await ask(adapter_of(judge), "well?")

    assert answered.output == {"good": True}
    assert answered.text == '{"good":true}'


async def test_a_call_that_comes_in_pieces_is_told_once(agent: Any) -> None:
    base, tools = af.BaseChatClient, af.FunctionInvocationLayer

    class InPieces(tools, base):  # type: ignore[misc, valid-type]
        def _inner_get_response(self, *, messages: Any, **_: Any) -> Any:
            async def updates() -> Any:
                if messages[-1].role == "tool":
                    done = af.Content.from_text("done")
                    yield af.ChatResponseUpdate(role="assistant", contents=[done])
                    return
                for call_id, name, arguments in (
                    ("c1", "add", '{"a": 1'),
                    ("", "", ', "b": 2}'),
                    ("c2", "add", '{"a": 3, '),
                    ("", "", '"b": 4}'),
                ):
                    call = af.Content.from_function_call(call_id, name, arguments=arguments)
                    yield af.ChatResponseUpdate(role="assistant", contents=[call])

            return self._build_response_stream(updates())

    def add(a: int, b: int) -> int:
        return a + b

    heard: list[str | Progress] = []

    await ask(adapter_of(af.Agent(InPieces(), tools=[add])), "go", heard=heard)

    assert heard[:4] == [
        ToolCall("c1", "add", {"a": 1, "b": 2}),
        ToolCall("c2", "add", {"a": 3, "b": 4}),
        ToolResult("c1", "add", 3),
        ToolResult("c2", "add", 7),
    ]


async def test_a_workflow_is_refused_with_the_function_that_would_work(agent: Any) -> None:
    workflow = af.WorkflowBuilder(start_executor=agent).build()

    with pytest.raises(Unsupported, match="async def agent"):
        adapter_of(workflow.as_agent())
    names = {(one.__module__, one.__name__) for one in type(workflow).__mro__}
    assert names & set(FRAMEWORK.refused)
