"""The adapter of Google ADK, with the example's agent."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

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
from runner.agents.frameworks.framework import Adapter
from runner.agents.frameworks.google_adk import FRAMEWORK
from runner.agents.requests import Decision

adk = pytest.importorskip("google.adk", reason="Google ADK is not installed")

EXAMPLE = Path(__file__).parents[2] / "docs/examples/frameworks/google_adk"


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example's agent, new for each test, from a module that no other test is given."""
    monkeypatch.syspath_prepend(EXAMPLE)
    for name in ("agent", "scripted_model"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    made = import_module("agent").agent
    for name in ("agent", "scripted_model"):
        monkeypatch.delitem(sys.modules, name)
    return made


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

    with pytest.raises(RuntimeError, match="secret"):
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


async def test_the_result_of_an_approved_tool_has_its_name(adapter: Adapter) -> None:
    first = await ask(adapter, "delete F")
    heard: list[str | Progress] = []

    resume = {first.requests[0].id: Decision(True)}
    await ask(adapter, "", first.state, resume=resume, heard=heard)

    assert isinstance(heard[0], ToolResult)
    assert (heard[0].name, heard[0].content) == ("delete_file", "deleted F")


async def test_images_reach_the_model_in_this_turn_and_the_next(adapter: Adapter) -> None:
    parts = (
        TextPart(type="text", text="look"),
        ImagePart(type="image", url="https://example.org/a.png"),
        ImagePart(type="image", media_type="image/png", data="iVBORw0KGgo="),
    )

    first = await ask(adapter, "look", parts=parts)

    assert first.text == "1: saw 2 images"
    assert (await ask(adapter, "again", first.state)).text == "2: you said again"
