"""OpenAI Agents SDK: an `Agent`, or a graph of them by handoffs.

State is the list of the conversation's input items; where calls are to be approved, it is the
framework's own JSON of the interrupted run instead. Every turn starts with the agent that is
served, also after a handoff in the turn before, as with the framework's own sessions.

The framework uploads traces as soon as it finds a key. That is turned off, unless something was
said about tracing before: `set_tracing_disabled(False)` in the agent's module keeps it on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

from runner.agents.base import (
    Answered,
    Asked,
    Emit,
    Json,
    Part,
    Progress,
    Reasoning,
    ToolCall,
    ToolResult,
    Usage,
)
from runner.agents.frameworks.framework import Framework, InThread, load
from runner.agents.frameworks.output import answered, as_json
from runner.agents.requests import InputRequest


class OpenAIAgents:
    def __init__(self, agent: Any, in_thread: InThread) -> None:
        self._agent = agent
        # Else each run makes one of its own, and closes it in a task that may outlive the turn.
        self._models = load("agents").MultiProvider()
        if load("agents.tracing.setup").GLOBAL_TRACE_PROVIDER is None:
            load("agents.tracing").set_tracing_disabled(True)

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        sdk, start = load("agents"), await self._input(asked)
        config = sdk.RunConfig(model_provider=self._models, group_id=asked.conversation)
        result = sdk.Runner.run_streamed(self._agent, start, run_config=config)
        usage = result.context_wrapper.usage
        before = (usage.input_tokens, usage.output_tokens)  # A run that goes on has used some.
        said = await events(result, emit)
        emit(Usage(usage.input_tokens - before[0], usage.output_tokens - before[1]))
        if result.interruptions:
            state = result.to_state().to_json()
            return Answered(said, state, requests=tuple(requests(result.interruptions)))
        return answered(said, result.final_output, result.to_input_list())

    async def _input(self, asked: Asked) -> Any:
        if asked.resume is None:
            return [*(asked.state or []), {"role": "user", "content": content(asked)}]
        state = await load("agents").RunState.from_json(self._agent, asked.state)
        for item in state.get_interruptions():
            decision = asked.resume[id_of(raw(item))]
            if decision.approve:
                state.approve(item)
            else:
                state.reject(item, rejection_message=decision.reason or None)
        return state


async def events(result: Any, emit: Emit) -> str:
    """Tell what happens in a run until it ends. What was said."""
    said: list[str] = []
    calls = [tool_call(raw(item)) for item in result.new_items if item.type == "tool_call_item"]
    names = {call.id: call.name for call in calls}  # In a run that goes on, they are told already.
    async with aclosing(result.stream_events()) as stream:
        try:
            async for event in stream:
                for heard in progress(event, names):
                    emit(heard)
                    if isinstance(heard, str):
                        said.append(heard)
        except BaseException:
            # Cancelled, the stream ends without waiting for the run's own task; left by an
            # exception of ours, it would wait until the run has come to its own end.
            result.cancel()
            await asyncio.gather(result.run_loop_task, return_exceptions=True)
            raise
    return "".join(said)


def progress(event: Any, names: dict[str, str]) -> Iterable[str | Progress]:
    """What an event tells. `names`: of the tools that were called, by the calls' ids."""
    if event.type == "raw_response_event":
        delta = getattr(event.data, "delta", None)
        if not delta:
            return
        if event.data.type == "response.output_text.delta":
            yield delta
        elif event.data.type.startswith("response.reasoning_"):
            yield Reasoning(delta)
    elif event.type == "run_item_stream_event":
        if event.name in ("tool_called", "handoff_requested"):
            call = tool_call(raw(event.item))
            names[call.id] = call.name
            yield call
        elif event.name in ("tool_output", "handoff_occured"):  # So spelt.
            item = raw(event.item)
            output = getattr(event.item, "output", item.get("output"))
            yield ToolResult(id_of(item), names.get(id_of(item), ""), as_json(output))


def tool_call(item: dict[str, Any]) -> ToolCall:
    """Of a function, or of a tool of the provider's, which has a type and perhaps an action."""
    arguments = item.get("arguments", item.get("action"))
    return ToolCall(id_of(item), item.get("name") or item["type"], json_of(arguments))


def requests(interruptions: Iterable[Any]) -> Iterable[InputRequest]:
    for item in interruptions:
        arguments = json_of(item.arguments)
        yield InputRequest("approval", "", item.name or "", arguments, id_of(raw(item)))


def raw(item: Any) -> dict[str, Any]:
    """What the model or a tool gave: objects before JSON, and dicts after."""
    given: dict[str, Any] = as_json(item.raw_item)
    return given


def id_of(item: dict[str, Any]) -> str:
    return str(item.get("call_id") or item["id"])


def json_of(arguments: Any) -> Json:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def content(asked: Asked) -> Any:
    return [input_part(part) for part in asked.parts] or asked.message


def input_part(part: Part) -> dict[str, str]:
    if part["type"] == "text":
        return {"type": "input_text", "text": part["text"]}
    url = part.get("url")
    data = f"data:{part.get('media_type')};base64,{part.get('data')}"
    if part["type"] == "image":
        return {"type": "input_image", "image_url": url or data, "detail": "auto"}
    if url:
        return {"type": "input_file", "file_url": url}
    return {"type": "input_file", "filename": part["name"], "file_data": data}


FRAMEWORK = Framework(
    name="OpenAI Agents SDK",
    package="openai-agents",
    version="0.24.0",
    classes=frozenset({("agents.agent", "Agent")}),
    adapt=OpenAIAgents,
    asks=True,
    takes=frozenset({"image", "file"}),
    refused={
        ("agents.run", "Runner"): "serve the agents.Agent that it runs.",
        ("agents.realtime.agent", "RealtimeAgent"): (
            "it talks by voice, in sessions of its own; serve an agents.Agent with its "
            "instructions and tools."
        ),
    },
)
