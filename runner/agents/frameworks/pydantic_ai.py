"""Pydantic AI: an `Agent`, or any other `AbstractAgent`.

State is the list of messages in the framework's own JSON, and the ids of the open calls of tools
that run elsewhere: the messages alone do not tell these from the calls to be approved. Images
and files are in it too, so they make every later state as large.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any

from runner.agents.base import (
    Answered,
    Asked,
    Emit,
    Part,
    Progress,
    Reasoning,
    ToolCall,
    ToolResult,
    Usage,
)
from runner.agents.frameworks.framework import Framework, InThread, Unsupported, load
from runner.agents.frameworks.output import answered, as_json
from runner.agents.requests import Decision, InputRequest

NEEDS_DEPS = """\
its tools need deps of the type {deps}, and a message brings none. Wrap it in an agent that does:

    class WithDeps(WrapperAgent):  # from pydantic_ai.agent
        deps_type = object

        async def run(self, *args, **options):
            return await super().run(*args, **options | {{"deps": {deps}(...)}})

    agent = WithDeps(agent)"""


class PydanticAI:
    def __init__(self, agent: Any, in_thread: InThread) -> None:
        if agent.deps_type not in (object, None, type(None)):
            deps = getattr(agent.deps_type, "__name__", agent.deps_type)
            raise Unsupported(NEEDS_DEPS.format(deps=deps))
        self._agent = agent
        self._streams = streams(agent.model)
        self._messages = load("pydantic_ai.messages").ModelMessagesTypeAdapter

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        state: Any = asked.state or {"messages": [], "calls": []}
        options: dict[str, Any] = {
            "message_history": self._messages.validate_python(state["messages"]),
            "conversation_id": asked.conversation,  # For traces, and for tools that ask.
            "infer_name": False,  # It would name the user's object after a variable of ours.
        }
        if asked.resume is not None:
            options["deferred_tool_results"] = results(asked.resume, state["calls"])
        else:
            options["user_prompt"] = prompt(asked)
        said, result = await self._run(options, emit)
        emit(Usage(result.usage.input_tokens, result.usage.output_tokens))
        messages = self._messages.dump_python(result.all_messages(), mode="json")
        if isinstance(result.output, load("pydantic_ai.tools").DeferredToolRequests):
            calls = [call.tool_call_id for call in result.output.calls]
            state = {"messages": messages, "calls": calls}
            return Answered(said, state, requests=tuple(requests(result.output)))
        return answered(said, result.output, {"messages": messages, "calls": []})

    async def _run(self, options: dict[str, Any], emit: Emit) -> tuple[str, Any]:
        """What was said, and the result."""
        if not self._streams:
            result = await self._agent.run(**options)
            responses = [one for one in result.new_messages() if one.kind == "response"]
            parts = [part for response in responses for part in response.parts]
            return "".join(part.content for part in parts if part.part_kind == "text"), result
        said: list[str] = []
        result = None
        # The context ends the framework's own task, whatever happens here.
        async with self._agent.run_stream_events(**options) as events:
            async for event in events:
                if event.event_kind == "agent_run_result":
                    result = event.result
                elif heard := progress(event):
                    emit(heard)
                    if isinstance(heard, str):
                        said.append(heard)
        return "".join(said), result


def streams(model: Any) -> bool:
    """False for a model class without streaming, as people write them for tests."""
    no_streaming = load("pydantic_ai.models").Model.request_stream
    if getattr(model.__class__, "request_stream", None) is no_streaming:
        return False
    return getattr(model, "stream_function", True) is not None  # Of a FunctionModel.


def progress(event: Any) -> str | Progress | None:
    """What an event tells; a part's first piece comes with its start."""
    match event.event_kind:
        case "part_start" if event.part.part_kind == "text":
            return str(event.part.content)
        case "part_delta" if event.delta.part_delta_kind == "text":
            return str(event.delta.content_delta)
        case "part_start" if event.part.part_kind == "thinking":
            return reasoning(event.part.content)
        case "part_delta" if event.delta.part_delta_kind == "thinking":
            return reasoning(event.delta.content_delta)
        case "function_tool_call":
            return tool_call(event.part)
        case "function_tool_result":
            return tool_result(event.part)
        # A provider's own tools, such as its search, are parts of its response.
        case "part_end" if event.part.part_kind == "builtin-tool-call":
            return tool_call(event.part)
        case "part_end" if event.part.part_kind == "builtin-tool-return":
            return tool_result(event.part)
        case _:
            return None


def reasoning(piece: str | None) -> Reasoning | None:
    return Reasoning(piece) if piece else None


def tool_call(part: Any) -> ToolCall:
    return ToolCall(part.tool_call_id, part.tool_name, arguments(part))


def tool_result(part: Any) -> ToolResult:
    return ToolResult(part.tool_call_id, part.tool_name, as_json(part.content))


def arguments(part: Any) -> Any:
    try:
        return part.args_as_dict(raise_if_invalid=True)
    except (ValueError, AssertionError):
        return part.args


def requests(deferred: Any) -> Iterable[InputRequest]:
    for call in deferred.approvals:
        yield InputRequest("approval", "", call.tool_name, arguments(call), call.tool_call_id)
    for call in deferred.calls:
        name = call.tool_name
        prompt = f"What is the result of {name}?"
        yield InputRequest("question", prompt, name, arguments(call), call.tool_call_id)


def results(decisions: Mapping[str, Decision], calls: list[str]) -> Any:
    tools, failed = load("pydantic_ai.tools"), load("pydantic_ai.exceptions").ToolFailed
    given = tools.DeferredToolResults()
    for id, decision in decisions.items():
        if id in calls:
            value = decision.value if decision.approve else failed(decision.reason or "No result.")
            given.calls[id] = value
        elif decision.approve or not decision.reason:
            given.approvals[id] = decision.approve
        else:
            given.approvals[id] = tools.ToolDenied(decision.reason)
    return given


def prompt(asked: Asked) -> Any:
    return [content(part) for part in asked.parts] or asked.message


def content(part: Part) -> Any:
    messages = load("pydantic_ai.messages")
    if part["type"] == "text":
        return part["text"]
    media_type, url = part.get("media_type"), part.get("url")
    if url is None:
        return messages.BinaryContent(b64decode(part.get("data", "")), media_type=media_type)
    if part["type"] == "image":
        return messages.ImageUrl(url, media_type=media_type)
    kind = part["media_type"].partition("/")[0]
    by_kind = {"image": "ImageUrl", "audio": "AudioUrl", "video": "VideoUrl"}
    as_kind = getattr(messages, by_kind.get(kind, "DocumentUrl"))
    return as_kind(url, media_type=media_type, identifier=part["name"])


FRAMEWORK = Framework(
    name="Pydantic AI",
    package="pydantic-ai-slim",
    version="2.68.0",
    classes=frozenset({("pydantic_ai.agent.abstract", "AbstractAgent")}),
    adapt=PydanticAI,
    asks=True,
    takes=frozenset({"image", "file"}),
)
