"""The adapter for Strands, with the agent of the example."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("strands", reason="strands-agents is not installed")

from runner.agents.base import (
    Answered,
    Asked,
    Part,
    Progress,
    Reasoning,
    ToolCall,
    ToolResult,
    Usage,
    unheard,
)
from runner.agents.frameworks.framework import Adapter, Unsupported, load
from runner.agents.frameworks.strands import FRAMEWORK
from runner.agents.requests import Decision
from tests.frameworks.examples import load_example

Make = Callable[[], Any]


@pytest.fixture
def make_agent() -> Make:
    """Makes the example's agent, another object each time."""
    return lambda: load_example("strands").agent


def adapter_of(agent: Any) -> Adapter:
    async def in_thread(function: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(function)

    return FRAMEWORK.adapt(agent, in_thread)


class Heard:
    """What was emitted."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.progress: list[Progress] = []

    def __call__(self, piece: str | Progress) -> None:
        if isinstance(piece, str):
            self.pieces.append(piece)
        else:
            self.progress.append(piece)


async def ask(adapter: Adapter, message: str, state: Any = None, **more: Any) -> Answered:
    """One turn, with a state that has been JSON in between."""
    state = json.loads(json.dumps(state))
    return await adapter.answer(Asked("default", message, state=state, **more), unheard)


async def test_a_conversation_goes_on_from_its_state_in_another_agent(make_agent: Make) -> None:
    first = await ask(adapter_of(make_agent()), "hello")
    second = await ask(adapter_of(make_agent()), "again", first.state)
    assert (first.text, second.text) == ("1: you said hello", "2: you said again")


async def test_two_conversations_in_turn_do_not_mix(make_agent: Make) -> None:
    adapter = adapter_of(make_agent())
    ann = await ask(adapter, "add 1 2")
    bob = await ask(adapter, "results")
    assert bob.text == "1: none"
    assert (await ask(adapter, "results", ann.state)).text == "2: 3"
    assert (await ask(adapter, "hello", bob.state)).text == "2: you said hello"


async def test_a_new_conversation_begins_with_what_the_agent_was_made_with(
    make_agent: Make,
) -> None:
    agent = make_agent()
    agent.messages = [
        {"role": "user", "content": [{"text": "before"}]},
        {"role": "assistant", "content": [{"text": "noted"}]},
    ]
    agent.state.set("plan", "free")
    adapter = adapter_of(agent)
    for _ in range(2):
        assert (await ask(adapter, "hello")).text == "2: you said hello"
        assert agent.state.get("plan") == "free"
        agent.state.set("plan", "paid")


async def test_the_state_of_a_conversation_has_what_its_tools_have_set(make_agent: Make) -> None:
    agent = make_agent()
    agent.add_hook(
        lambda event: event.agent.state.set("tools", event.tool_use["name"]),
        load("strands.hooks").AfterToolCallEvent,
    )
    adapter = adapter_of(agent)
    first = await ask(adapter, "add 1 2")
    await ask(adapter, "hello")
    assert agent.state.get() == {}
    await ask(adapter, "hello", first.state)
    assert agent.state.get() == {"tools": "add"}


async def test_a_system_prompt_that_a_turn_has_changed_is_not_anothers(make_agent: Make) -> None:
    agent = make_agent()
    adapter = adapter_of(agent)
    first = await ask(adapter, "hello")
    agent.system_prompt = "Serve Ann."
    await ask(adapter, "hello", first.state)
    assert agent.system_prompt == "You are a helpful assistant."


async def test_a_state_is_good_for_another_conversation_manager(make_agent: Make) -> None:
    first = await ask(adapter_of(make_agent()), "hello")
    changed = make_agent()
    managers = load("strands.agent.conversation_manager")
    changed.conversation_manager = managers.NullConversationManager()
    assert (await ask(adapter_of(changed), "again", first.state)).text == "2: you said again"


async def test_the_pieces_of_a_reply_join_to_its_text(make_agent: Make) -> None:
    heard = Heard()
    answered = await adapter_of(make_agent()).answer(Asked("default", "hello"), heard)
    assert heard.pieces == ["1: ", "you said hello"]
    assert answered.text == "1: you said hello"
    assert heard.progress == [Usage(10, 5)]


async def test_calls_and_results_of_tools_are_told_and_survive(make_agent: Make) -> None:
    heard = Heard()
    answered = await adapter_of(make_agent()).answer(Asked("default", "add 2 3"), heard)
    assert answered.text == "".join(heard.pieces) == "1: the sum is 5"
    assert heard.progress == [
        ToolCall("call-1", "add", {"a": 2, "b": 3}),
        ToolResult("call-1", "add", "5"),
        Usage(20, 10),
    ]
    later = await ask(adapter_of(make_agent()), "results", answered.state)
    assert later.text == "2: 5"


async def test_usage_is_that_of_the_turn_alone(make_agent: Make) -> None:
    adapter, heard = adapter_of(make_agent()), Heard()
    for _ in range(3):
        await adapter.answer(Asked("default", "hello"), heard)
    assert heard.progress == [Usage(10, 5)] * 3


async def test_what_the_model_thinks_is_told_apart_from_its_reply(make_agent: Make) -> None:
    agent, heard = make_agent(), Heard()
    said = agent.model.stream

    async def thinks(*args: Any, **kwargs: Any) -> Any:
        yield {"contentBlockDelta": {"delta": {"reasoningContent": {"text": "hm"}}}}
        yield {"contentBlockStop": {}}
        async for chunk in said(*args, **kwargs):
            yield chunk

    agent.model.stream = thinks
    answered = await adapter_of(agent).answer(Asked("default", "hello"), heard)
    assert (answered.text, heard.progress[0]) == ("1: you said hello", Reasoning("hm"))


async def test_a_failed_turn_leaves_nothing(make_agent: Make) -> None:
    adapter = adapter_of(make_agent())
    first = await ask(adapter, "hello")
    with pytest.raises(RuntimeError, match="secret"):
        await ask(adapter, "fail", first.state)
    assert (await ask(adapter, "again", first.state)).text == "2: you said again"
    assert (await ask(adapter, "hello")).text == "1: you said hello"


async def test_a_cancelled_turn_leaves_no_task_and_nothing_else(make_agent: Make) -> None:
    adapter, spoke = adapter_of(make_agent()), asyncio.Event()
    first = await ask(adapter, "hello")
    before = asyncio.all_tasks()
    asked = Asked("default", "slow", state=first.state)
    await cancel_after(spoke, adapter.answer(asked, lambda piece: spoke.set()))
    assert asyncio.all_tasks() == before
    assert (await ask(adapter, "again", first.state)).text == "2: you said again"


async def cancel_after(
    event: asyncio.Event, answer: Awaitable[Answered], limit_s: float = 0.5
) -> None:
    turn = asyncio.ensure_future(answer)
    await event.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(turn, limit_s)


async def test_a_turn_cancelled_while_a_tool_runs_leaves_no_task(make_agent: Make) -> None:
    agent, runs = make_agent(), asyncio.Event()

    async def add(a: int, b: int) -> None:
        """Never comes back."""
        runs.set()
        await asyncio.Event().wait()

    agent.tool_registry.replace(load("strands").tool(add))
    adapter, before = adapter_of(agent), asyncio.all_tasks()
    await cancel_after(runs, adapter.answer(Asked("default", "add 1 2"), unheard))
    assert asyncio.all_tasks() == before
    assert (await ask(adapter, "hello")).text == "1: you said hello"


async def test_a_turn_ends_though_its_tool_answers_when_it_is_cancelled(make_agent: Make) -> None:
    """I-13: Strands puts the answer into a queue that nobody reads any more, and waits."""
    agent, runs = make_agent(), asyncio.Event()

    async def add(a: int, b: int) -> str:
        """Says what it knows so far."""
        runs.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "stopped"

    agent.tool_registry.replace(load("strands").tool(add))
    adapter, before = adapter_of(agent), asyncio.all_tasks()
    asked = Asked("default", "add 1 2")
    await cancel_after(runs, adapter.answer(asked, unheard), limit_s=10.0)
    assert asyncio.all_tasks() == before
    assert (await ask(adapter, "hello")).text == "1: you said hello"


@pytest.mark.parametrize(
    ("decision", "reply"),
    [
        (Decision(approve=True), "1: deleted a.txt"),
        (Decision(approve=True, value="yes"), "1: deleted a.txt"),
        (Decision(approve=False), "1: kept a.txt"),
        (Decision(approve=False, reason="yes, it is mine"), "1: kept a.txt"),
        (Decision(approve=True, value="no"), "1: kept a.txt"),
    ],
)
async def test_a_tools_question_is_answered_in_another_process(
    make_agent: Make, decision: Decision, reply: str
) -> None:
    first = await ask(adapter_of(make_agent()), "delete a.txt")
    (request,) = first.requests
    assert first.text == ""
    assert (request.kind, request.prompt) == ("question", "Delete a.txt?")
    assert (request.name, request.arguments) == ("delete_file", {"path": "a.txt"})
    heard, state = Heard(), json.loads(json.dumps(first.state))
    asked = Asked("default", "yes", state=state, resume={request.id: decision})
    answered = await adapter_of(make_agent()).answer(asked, heard)
    assert answered.text == "".join(heard.pieces) == reply
    assert heard.progress[0] == ToolResult("call-1", "delete_file", reply.removeprefix("1: "))
    later = await ask(adapter_of(make_agent()), "hello", answered.state)
    assert later.text == "2: you said hello"


@pytest.mark.parametrize(("approve", "reply"), [(True, "3"), (False, "CONFIRMATION_FAILED")])
async def test_a_hook_asks_for_an_approval(make_agent: Make, approve: bool, reply: str) -> None:
    human = load("strands.vended_interventions.hitl").HumanInTheLoop

    def make() -> Any:
        plain = make_agent()
        return load("strands").Agent(
            model=plain.model,
            tools=[*plain.tool_registry.registry.values()],
            interventions=[human()],
        )

    first = await ask(adapter_of(make()), "add 1 2")
    (request,) = first.requests
    assert (request.kind, request.name, request.arguments) == ("approval", "add", {"a": 1, "b": 2})
    resume = {request.id: Decision(approve)}
    answered = await ask(adapter_of(make()), "", first.state, resume=resume)
    assert answered.text.startswith(f"1: the sum is {reply}")


async def test_the_questions_of_tools_that_run_at_once_are_told_together(
    make_agent: Make,
) -> None:
    def make() -> Any:
        agent = make_agent()
        one = agent.model.stream

        async def both(messages: Any, *args: Any, **kwargs: Any) -> Any:
            async for chunk in one(messages, *args, **kwargs):
                if chunk.get("messageStop", {}).get("stopReason") == "tool_use":
                    call = {"name": "delete_file", "toolUseId": "call-too"}
                    yield {"contentBlockStart": {"start": {"toolUse": call}}}
                    yield {"contentBlockDelta": {"delta": {"toolUse": {"input": '{"path": "b"}'}}}}
                    yield {"contentBlockStop": {}}
                yield chunk

        agent.model.stream = both
        return agent

    first = await ask(adapter_of(make()), "delete a")
    assert {one.prompt for one in first.requests} == {"Delete a?", "Delete b?"}
    resume = {one.id: Decision(one.prompt == "Delete a?") for one in first.requests}
    second = await ask(adapter_of(make()), "", first.state, resume=resume)
    third = await ask(adapter_of(make()), "results", second.state)
    assert sorted(third.text.removeprefix("2: ").split(", ")) == ["deleted a", "kept b"]


async def test_other_conversations_go_on_while_one_waits_for_a_person(make_agent: Make) -> None:
    adapter = adapter_of(make_agent())
    first = await ask(adapter, "delete a.txt")
    assert (await ask(adapter, "hello")).text == "1: you said hello"
    resume = {first.requests[0].id: Decision(approve=True)}
    assert (await ask(adapter, "", first.state, resume=resume)).text == "1: deleted a.txt"


async def test_images_and_files_reach_the_model_and_survive(make_agent: Make) -> None:
    agent = make_agent()
    parts: tuple[Part, ...] = (
        {"type": "text", "text": "look"},
        {"type": "image", "media_type": "image/png", "data": "iVBORw=="},
        {"type": "file", "name": "a_b.v2.PDF", "media_type": "application/pdf", "data": "JVBERg=="},
        {"type": "file", "name": "notes", "media_type": "text/plain", "data": "aGk="},
    )
    first = await ask(adapter_of(agent), "look", parts=parts)
    assert first.text == "1: saw 1 images"
    again = make_agent()
    await ask(adapter_of(again), "again", first.state)
    _, image, pdf, notes = again.messages[0]["content"]
    assert image["image"] == {"format": "png", "source": {"bytes": b"\x89PNG"}}
    assert pdf["document"] == {"format": "pdf", "name": "a b v2", "source": {"bytes": b"%PDF"}}
    assert notes["document"] == {"format": "txt", "name": "notes", "source": {"bytes": b"hi"}}


async def test_an_image_that_is_only_a_url_fails_the_turn(make_agent: Make) -> None:
    part: Part = {"type": "image", "url": "http://example.com/a.png"}
    with pytest.raises(ValueError, match="not its URL"):
        await ask(adapter_of(make_agent()), "look", parts=(part,))


async def test_structured_output_is_the_reply_where_nothing_was_said(make_agent: Make) -> None:
    pydantic, strands = load("pydantic"), load("strands")
    model = make_agent().model

    async def stream(*args: Any, **kwargs: Any) -> Any:
        call = {"name": "City", "toolUseId": "call-1"}
        yield {"contentBlockStart": {"start": {"toolUse": call}}}
        yield {"contentBlockDelta": {"delta": {"toolUse": {"input": '{"name": "Oslo"}'}}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use"}}

    model.stream = stream
    city = pydantic.create_model("City", name=(str, ...))
    agent = strands.Agent(model=model, structured_output_model=city)
    answered = await ask(adapter_of(agent), "Where?")
    assert (answered.output, json.loads(answered.text)) == ({"name": "Oslo"}, {"name": "Oslo"})


async def test_what_a_hook_says_in_the_models_place_is_the_reply(make_agent: Make) -> None:
    agent, heard = make_agent(), Heard()
    agent.add_hook(
        lambda event: setattr(event, "cancel", "not today"),
        load("strands.hooks").BeforeInvocationEvent,
    )
    answered = await adapter_of(agent).answer(Asked("default", "hello"), heard)
    assert heard.pieces == ["not today"]
    assert answered.text == "not today"


async def test_nothing_is_printed_and_the_users_handler_is_heard(
    make_agent: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = make_agent()
    printing = agent.callback_handler
    await ask(adapter_of(agent), "hello")
    assert agent.callback_handler is printing
    agent.callback_handler = lambda **event: print("result" in event)
    await ask(adapter_of(agent), "hello")
    out = capsys.readouterr().out
    assert "you said" not in out
    assert "True" in out


@pytest.mark.parametrize("option", ["session_manager", "background_tasks", "checkpointing"])
def test_what_would_keep_state_elsewhere_is_refused_with_what_to_do(
    make_agent: Make, option: str, tmp_path: Path
) -> None:
    value: Any = True
    if option == "session_manager":
        sessions = load("strands.session.file_session_manager")
        value = sessions.FileSessionManager("a-session", storage_dir=str(tmp_path))
    agent = load("strands").Agent(model=make_agent().model, **{option: value})
    with pytest.raises(Unsupported, match=f"{option}.*out"):
        adapter_of(agent)
