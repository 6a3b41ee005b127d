"""Run with LlamaIndex installed; skipped without it."""

from __future__ import annotations

import asyncio
import importlib
import json
from typing import Any

import pytest

from runner.agents.base import (
    Answered,
    Asked,
    FilePart,
    ImagePart,
    Progress,
    Reasoning,
    ToolCall,
    ToolResult,
)
from runner.agents.frameworks.framework import Unsupported
from runner.agents.frameworks.llama_index import FRAMEWORK
from tests.frameworks.examples import load_example

workflow: Any = pytest.importorskip("llama_index.core.agent.workflow")


class Talk:
    """One conversation. Its state goes through JSON, and each turn has an adapter of its own."""

    def __init__(self, agent: Any = None) -> None:
        self.agent = agent
        self.state: Any = None
        self.heard: list[str | Progress] = []

    async def say(self, message: str, **more: Any) -> Answered:
        self.heard = []
        agent = self.agent or load_example("llama_index").agent
        adapter = FRAMEWORK.adapt(agent, no_threads)
        asked = Asked("c", message, state=self.state, **more)
        answered = await adapter.answer(asked, self.heard.append)
        self.state = json.loads(json.dumps(answered.state, allow_nan=False))
        return answered

    def pieces(self) -> list[str]:
        return [piece for piece in self.heard if isinstance(piece, str)]


async def no_threads(function: Any) -> Any:
    raise AssertionError("it is async")


async def test_the_state_survives_json_and_a_new_agent() -> None:
    talk = Talk()
    assert (await talk.say("hello")).text == "1: you said hello"
    assert (await talk.say("again")).text == "2: you said again"


async def test_conversations_in_turn_do_not_mix() -> None:
    agent = load_example("llama_index").agent
    ada, bob = Talk(agent), Talk(agent)
    for u in (1, 2):
        assert (await ada.say("hi")).text == f"{u}: you said hi"
        assert (await bob.say("ho")).text == f"{u}: you said ho"


async def test_two_at_once_do_not_mix() -> None:
    agent = load_example("llama_index").agent
    ada, bob = Talk(agent), Talk(agent)
    await ada.say("before")
    both = await asyncio.gather(ada.say("add 1 2"), bob.say("add 3 4"))
    assert [answered.text for answered in both] == ["2: the sum is 3", "1: the sum is 7"]
    both = await asyncio.gather(ada.say("results"), bob.say("results"))
    assert [answered.text for answered in both] == ["3: 3", "2: 7"]


async def test_the_answer_is_streamed_in_pieces() -> None:
    talk = Talk()
    answered = await talk.say("hello")
    assert len(talk.pieces()) > 1
    assert "".join(talk.pieces()) == answered.text


async def test_without_streaming_the_answer_comes_whole() -> None:
    agent = load_example("llama_index").agent
    agent.streaming = False
    talk = Talk(agent)
    assert (await talk.say("hello")).text == "1: you said hello"
    assert talk.pieces() == ["1: you said hello"]


async def test_tools_are_told_and_their_results_remembered() -> None:
    talk = Talk()
    assert (await talk.say("add 2 3")).text == "1: the sum is 5"
    assert [one for one in talk.heard if not isinstance(one, str)] == [
        ToolCall("call-1", "add", {"a": 2, "b": 3}),
        ToolResult("call-1", "add", 5),
    ]
    assert (await talk.say("results")).text == "2: 5"


@pytest.mark.parametrize("streaming", [True, False])
async def test_words_before_a_tool_are_part_of_the_reply(streaming: bool) -> None:
    def look() -> str:
        """Look."""
        return "seen"

    talk = Talk(scripted([("look", {}, "I look. "), "It is there."], streaming=streaming))
    talk.agent.tools = scripted([look]).tools
    assert (await talk.say("where?")).text == "I look. It is there."
    assert "".join(talk.pieces()) == "I look. It is there."


async def test_a_tools_result_may_be_the_reply() -> None:
    agent = load_example("llama_index").agent
    agent.tools[0].metadata.return_direct = True
    assert (await Talk(agent).say("add 2 3")).text == "5"


async def test_a_failed_turn_leaves_nothing_behind() -> None:
    talk = Talk(load_example("llama_index").agent)
    await talk.say("hello")
    before = asyncio.all_tasks()
    with pytest.raises(RuntimeError, match="secret"):
        await talk.say("fail")
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before
    assert (await talk.say("again")).text == "2: you said again"


@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit, SystemExit])
async def test_a_tool_that_ends_its_task_fails_the_turn(kind: type[BaseException]) -> None:
    async def leave() -> None:
        """Leave."""
        raise kind

    agents = [scripted([leave]), workflow.AgentWorkflow(agents=[scripted([leave])])]
    before = asyncio.all_tasks()
    for agent in agents:
        with pytest.raises(RuntimeError, match=kind.__name__):
            await asyncio.wait_for(Talk(agent).say("hello"), 5)
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before


async def test_a_cancelled_turn_leaves_nothing_behind() -> None:
    talk = Talk(load_example("llama_index").agent)
    await talk.say("hello")
    before = asyncio.all_tasks()
    turn = asyncio.create_task(talk.say("slow"))
    while talk.pieces() != ["2: "]:
        await asyncio.sleep(0.01)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before
    assert (await talk.say("again")).text == "2: you said again"


async def test_images_reach_the_model_and_are_remembered() -> None:
    data: ImagePart = {"type": "image", "media_type": "image/png", "data": "iVBORw0KGgo="}
    url: ImagePart = {"type": "image", "url": "https://example.com/a.png"}
    talk = Talk()
    assert (await talk.say("look", parts=({"type": "text", "text": "look"}, data, url))).text == (
        "1: saw 2 images"
    )
    assert (await talk.say("look")).text == "2: saw 2 images"


async def test_files_are_passed_on_as_documents() -> None:
    file: FilePart = {
        "type": "file",
        "name": "a.pdf",
        "media_type": "application/pdf",
        "data": "JVBERg==",
    }
    talk = Talk()
    await talk.say("read", parts=({"type": "text", "text": "read"}, file))
    block = talk.state["messages"][0]["blocks"][1]
    assert (block["block_type"], block["title"], block["data"]) == ("document", "a.pdf", "JVBERg==")


async def test_the_contexts_state_is_kept() -> None:
    async def count(ctx: Any) -> int:
        """Count."""
        async with ctx.store.edit_state() as all_of_it:
            all_of_it["state"]["n"] += 1
            return int(all_of_it["state"]["n"])

    count.__annotations__ = {"ctx": workflow_context(), "return": int}
    talk = Talk(scripted([count, None, count, None], initial_state={"n": 0}))
    for n in (1, 2):
        await talk.say("count")
        assert [one.content for one in talk.heard if isinstance(one, ToolResult)] == [n]


async def test_a_workflow_stays_with_the_agent_it_was_handed_to() -> None:
    def team() -> Any:
        front = scripted([("handoff", {"to_agent": "back", "reason": "it knows"}), None])
        front.name, front.description = "front", "Asks."
        back = load_example("llama_index").agent
        back.name, back.description = "back", "Knows."
        return workflow.AgentWorkflow(agents=[front, back], root_agent="front")

    talk = Talk(team())
    await talk.say("hello")
    talk.agent = team()
    assert (await talk.say("again")).text == "2: you said again"
    assert talk.state["agent"] == "back"


async def test_a_react_agent_thinks_and_then_replies_at_once() -> None:
    agent = workflow.ReActAgent(llm=scripted(["Thought: I know it.\nAnswer: 42"]).llm, tools=[])
    talk = Talk(agent)
    assert (await talk.say("hello")).text == "42"
    assert talk.pieces() == []
    assert isinstance(talk.heard[0], Reasoning)


async def test_a_tool_that_waits_for_a_person_fails_the_turn() -> None:
    events = importlib.import_module("llama_index.core.workflow")

    async def ask(ctx: Any) -> str:
        """Ask."""
        waiter = events.InputRequiredEvent(prefix="sure?")
        return str(await ctx.wait_for_event(events.HumanResponseEvent, waiter_event=waiter))

    ask.__annotations__ = {"ctx": workflow_context(), "return": str}
    before = asyncio.all_tasks()
    with pytest.raises(RuntimeError, match="HumanResponseEvent"):
        await Talk(scripted([ask])).say("hello")
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before


async def test_a_structured_response_is_the_output() -> None:
    agent = load_example("llama_index").agent
    agent.structured_output_fn = lambda messages: {"words": 1}
    answered = await Talk(agent).say("hello")
    assert (answered.text, answered.output) == ("1: you said hello", {"words": 1})


def test_a_workflow_that_is_no_agent_is_refused() -> None:
    events = importlib.import_module("llama_index.core.workflow")

    async def begin(event: Any) -> Any:
        return events.StopEvent(result="done")

    begin.__annotations__ = {"event": events.StartEvent, "return": events.StopEvent}
    mine = type("Mine", (events.Workflow,), {})
    events.step(workflow=mine)(begin)
    with pytest.raises(Unsupported, match="which one is the message"):
        FRAMEWORK.adapt(mine(), no_threads)


def workflow_context() -> Any:
    return importlib.import_module("llama_index.core.workflow").Context


def scripted(script: list[Any], **options: Any) -> Any:
    """An agent whose model calls these tools, and says these texts; None is "done"."""
    llms = importlib.import_module("llama_index.core.llms")
    types = importlib.import_module("llama_index.core.base.llms.types")
    steps = iter(script)

    def generate(messages: Any, **options: Any) -> Any:
        step = next(steps)
        if step is None or isinstance(step, str):
            return llms.ChatMessage(role="assistant", content=step or "done")
        name, kwargs, *said = step if isinstance(step, tuple) else (step.__name__, {})
        call = types.ToolCallBlock(tool_call_id="1", tool_name=name, tool_kwargs=kwargs)
        words = [llms.TextBlock(text=text) for text in said]
        return llms.ChatMessage(role="assistant", blocks=[*words, call])

    return workflow.FunctionAgent(
        tools=[one for n, one in enumerate(script) if callable(one) and one not in script[:n]],
        llm=llms.MockFunctionCallingLLM(response_generator=generate, is_chat_model=True),
        **options,
    )
