"""The adapter of Google ADK, with the example's agent."""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping
from importlib import import_module
from subprocess import run
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
    Reasoning,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
    unheard,
)
from runner.agents.frameworks.framework import Adapter
from runner.agents.frameworks.google_adk import FRAMEWORK
from runner.agents.requests import Decision
from tests.frameworks.examples import load_example
from tests.support.server import ROOT

pytest.importorskip("google.adk", reason="Google ADK is not installed")

agents = import_module("google.adk.agents")
apps = import_module("google.adk.apps")
events = import_module("google.adk.events")
models = import_module("google.adk.models")
runners = import_module("google.adk.runners")
types = import_module("google.genai.types")
workflow = import_module("google.adk.workflow")


base = models.BaseLlm

PIXELS = "iVBORw0KGgo="
LINKED = ImagePart(type="image", url="https://example.org/a.png")
LOOK: tuple[Part, ...] = (
    TextPart(type="text", text="look"),
    ImagePart(type="image", media_type="image/png", data=PIXELS),
)


class Verdict(BaseModel):
    good: bool


def agent_of(reply: Callable[[Any], Any], name: str = "a", **options: Any) -> Any:
    """An agent whose model answers a request with parts."""

    class Model(base):  # type: ignore[misc, valid-type]
        async def generate_content_async(self, llm_request: Any, stream: bool = False) -> Any:
            content = types.Content(role="model", parts=reply(llm_request))
            yield models.LlmResponse(content=content)

    return agents.LlmAgent(name=name, model=Model(model="none"), **options)


def says(name: str, words: str) -> Any:
    return agent_of(lambda _: [types.Part(text=words)], name)


@pytest.fixture
def agent() -> Any:
    return load_example("google_adk").agent


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


FIRST_TURN = """
import asyncio, sys
from tests.frameworks.test_google_adk_adapter import adapter_of, ask, load_example

adapter = adapter_of(load_example("google_adk").agent)
before = set(sys.modules)
asyncio.run(ask(adapter, "hello"))
print(len(set(sys.modules) - before))
"""


def test_the_first_turn_imports_next_to_nothing() -> None:
    """Each of the hundreds of modules that ADK puts off is imported on the event loop."""
    told = run([sys.executable, "-c", FIRST_TURN], cwd=ROOT, capture_output=True, check=True)
    assert int(told.stdout.splitlines()[-1]) < 50


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
    [(True, "1: deleted F", "2: deleted F"), (False, "1: kept F", "2: {'error': ")],
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
    def reply(request: Any) -> Any:
        if request.contents[-1].parts[0].function_response:
            return [types.Part(text="done")]
        return [
            types.Part(function_call=types.FunctionCall(name="delete_file", args={"path": path}))
            for path in "FG"
        ]

    both = agent_of(reply, tools=agent.tools)
    first = await ask(adapter_of(both), "go")
    one, other = first.requests
    heard: list[str | Progress] = []

    resume = {one.id: Decision(True), other.id: Decision(False)}
    await ask(adapter_of(both), "", first.state, resume=resume, heard=heard)

    results = [one.content for one in heard if isinstance(one, ToolResult)]
    assert results == ["deleted F", {"error": "This tool call is rejected."}]
    assert heard[-1] == "done"


async def test_images_reach_the_model(adapter: Adapter) -> None:
    answered = await ask(adapter, "look", parts=(*LOOK, LINKED))

    assert answered.text == "1: saw 2 images"


async def test_bytes_are_the_same_in_the_next_turn() -> None:
    def reply(request: Any) -> Any:
        first = request.contents[0]
        if request.contents[-1] is first:
            return [types.Part(text="seen", thought_signature=b"\xff\x00")]
        same = first.parts[1].inline_data.data == b64decode(PIXELS)
        return [types.Part(text=f"{same} {request.contents[1].parts[0].thought_signature!r}")]

    seeing = agent_of(reply)
    first = await ask(adapter_of(seeing), "look", parts=LOOK)
    second = await ask(adapter_of(seeing), "and now?", first.state)

    assert second.text == f"True {bytes([255, 0])!r}"


async def test_keys_of_the_session_survive() -> None:
    def reply(request: Any) -> Any:
        return [types.Part(text=request.config.system_instruction.partition("\n")[0])]

    quoting = agent_of(reply, instruction="After {last?}.", output_key="last")
    first = await ask(adapter_of(quoting), "a")
    second = await ask(adapter_of(quoting), "b", first.state)

    assert (first.text, second.text) == ("After .", "After After ..")


async def test_structured_output_is_json() -> None:
    judge = agent_of(lambda _: [types.Part(text='{"good": true}')], output_schema=Verdict)

    answered = await ask(adapter_of(judge), "well?")

    assert (answered.text, answered.output) == ('{"good": true}', {"good": True})


async def test_what_a_model_thinks_is_told_once_and_is_not_the_text() -> None:
    class Thinking(base):  # type: ignore[misc, valid-type]
        async def generate_content_async(self, llm_request: Any, stream: bool = False) -> Any:
            thought = types.Part(text="hm", thought=True)
            content = types.Content(role="model", parts=[thought])
            yield models.LlmResponse(content=content, partial=True)
            content = types.Content(role="model", parts=[thought, types.Part(text="yes")])
            yield models.LlmResponse(content=content)

    heard: list[str | Progress] = []
    thinking = agents.LlmAgent(name="a", model=Thinking(model="none"))
    answered = await ask(adapter_of(thinking), "well?", heard=heard)

    assert heard == [Reasoning("hm"), "yes"]
    assert answered.text == "yes"


async def test_an_error_without_words_is_raised() -> None:
    class Blocked(base):  # type: ignore[misc, valid-type]
        async def generate_content_async(self, llm_request: Any, stream: bool = False) -> Any:
            yield models.LlmResponse(error_code="SAFETY", error_message="no")

    with pytest.raises(RuntimeError, match="SAFETY: no"):
        await ask(adapter_of(agents.LlmAgent(name="a", model=Blocked(model="none"))), "hello")


@pytest.mark.filterwarnings("ignore:SequentialAgent:DeprecationWarning")
async def test_agents_one_after_the_other_speak_in_paragraphs() -> None:
    one, other = (says(name, name.upper()) for name in ("a", "b"))

    both = agents.SequentialAgent(name="both", sub_agents=[one, other])
    answered = await ask(adapter_of(both), "go")

    assert answered.text == "A\n\nB"


@pytest.mark.filterwarnings("ignore:ParallelAgent:DeprecationWarning")
async def test_agents_at_once_are_not_mixed(agent: Any) -> None:
    other = agent.clone(update={"name": "other"})
    heard: list[str | Progress] = []

    both = agents.ParallelAgent(name="both", sub_agents=[agent, other])
    answered = await ask(adapter_of(both), "hello", heard=heard)

    assert answered.text == "1: you said hello\n\n1: you said hello"
    assert "".join(one for one in heard if isinstance(one, str)) == answered.text


async def test_a_workflow_asks_a_question_and_goes_on_with_the_answer() -> None:
    async def question(ctx: Any) -> Any:
        yield events.RequestInput(message="how many?", interrupt_id="q")

    def total(node_input: int) -> Any:
        return {"total": node_input * 2}

    asking = workflow.Workflow(name="asking", edges=[("START", question, total)])
    first = await ask(adapter_of(asking), "go")
    (request,) = first.requests
    assert (request.kind, request.prompt) == ("question", "how many?")

    resume = {request.id: Decision(True, value=4)}
    second = await ask(adapter_of(asking), "", first.state, resume=resume)

    assert (second.output, second.text) == ({"total": 8}, '{"total": 8}')


async def test_an_app_is_served_like_its_agent(agent: Any) -> None:
    app = apps.App(name="office", root_agent=agent)

    assert (await ask(adapter_of(app), "hello")).text == "1: you said hello"


def test_a_runner_is_refused(agent: Any) -> None:
    runner = runners.InMemoryRunner(agent=agent)

    names = {(one.__module__, one.__name__) for one in type(runner).__mro__}
    assert names & set(FRAMEWORK.refused)
    assert not names & FRAMEWORK.classes


async def test_a_turn_whose_tool_was_cancelled_from_within_fails() -> None:
    """I-12: ADK ends such a run without a word, and the call would never have a result."""

    async def look_up() -> str:
        """Uses something that is cancelled."""
        raise asyncio.CancelledError

    call = types.Part(function_call=types.FunctionCall(name="look_up", args={}))
    agent = agent_of(lambda _: [call], tools=[look_up])
    with pytest.raises(RuntimeError, match="look_up"):
        await ask(adapter_of(agent), "hello")
