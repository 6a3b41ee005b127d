"""Adapts agents of the Microsoft Agent Framework.

The state is an `AgentSession` of the turn. An agent without a history provider is given one
by its first run, which keeps the messages in the session; one of the user's own that writes
to files or a database keeps failed turns too. Where the model's service keeps the messages,
the session has the id of the last response, and the next turn goes on from there.

A refusal reaches the model in the framework's words: there is no place for a reason. Tools that
are no coroutines run in asyncio's threads, which go on to their end when a turn is cancelled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from mimetypes import guess_type
from typing import Any

from pydantic_core import to_jsonable_python

from runner.agents.base import (
    Answered,
    Asked,
    Emit,
    Json,
    Part,
    Reasoning,
    ToolCall,
    ToolResult,
    Usage,
)
from runner.agents.frameworks.framework import Framework, InThread, Unsupported, load, quiet
from runner.agents.requests import InputRequest

WORKFLOW_AGENTS = {
    ("agent_framework._workflows._agent", "WorkflowAgent"),
    ("agent_framework._workflows._functional", "FunctionalWorkflowAgent"),
}

WORKFLOW = """A workflow keeps its state in itself. Serve a function that builds one for each turn:

    async def agent(message, history):
        said = [Message(one["role"], [one["content"]]) for one in history]
        return (await build_workflow().as_agent().run([*said, message])).text
"""


class AgentFrameworkAdapter:
    def __init__(self, agent: Any) -> None:
        self._agent = agent
        self._package = load("agent_framework")
        quiet("agent_framework")  # It logs three lines a tool call.

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        state: Json = asked.state or {"session": None, "requests": [], "calls": {}}
        old = [self._package.Content.from_dict(one) for one in state["requests"]]
        telling = Telling(emit, state["calls"])
        session = self._session(state["session"])
        message = self._message(asked, old)
        async with self._agent.run(message, session=session, stream=True) as updates:
            async for update in updates:
                for content in update.contents:
                    telling.tell(content)
            response = await updates.get_final_response()
        telling.tell_calls()
        usage: Any = response.usage_details
        if usage:
            emit(Usage(usage.get("input_token_count") or 0, usage.get("output_token_count") or 0))
        requests = [
            one for one in response.user_input_requests if one.type == "function_approval_request"
        ]
        return Answered(
            telling.text or response.text,
            {
                "session": session.to_dict(),
                "requests": [one.to_dict() for one in requests],
                "calls": telling.open_calls,
            },
            to_jsonable_python(response.value),
            tuple(map(input_request, requests)),
        )

    def _session(self, saved: Json) -> Any:
        if saved is None:
            return self._agent.create_session()
        return self._package.AgentSession.from_dict(saved)

    def _message(self, asked: Asked, requests: list[Any]) -> Any:
        if asked.resume is not None:
            contents = [
                one.to_function_approval_response(asked.resume[one.id].approve) for one in requests
            ]
        elif asked.parts:
            contents = [self._content(part) for part in asked.parts]
        else:
            contents = [asked.message]
        return self._package.Message("user", contents)

    def _content(self, part: Part) -> Any:
        if part["type"] == "text":
            return part["text"]
        kind = part.get("media_type")
        if "data" in part:
            uri = f"data:{kind};base64,{part['data']}"
        else:
            uri = part.get("url", "")
            kind = kind or guess_type(uri)[0] or "image/*"
        return self._package.Content.from_uri(uri, media_type=kind, name=part.get("name"))


class Telling:
    """Emits what happens, and joins the text.

    open_calls  names of tools by the ids of calls without a result: that has the id alone.
    """

    def __init__(self, emit: Emit, open_calls: dict[str, str]) -> None:
        self.text = ""
        self.open_calls = open_calls
        self._emit = emit
        self._calls: dict[str, ToolCall] = {}
        self._last_call = ""

    def tell(self, content: Any) -> None:
        if content.type == "function_call":
            self._collect(content)
            return
        self.tell_calls()
        if content.type == "text" and content.text:
            self.text += content.text
            self._emit(content.text)
        elif content.type == "text_reasoning" and content.text:
            self._emit(Reasoning(content.text))
        elif content.type == "function_result":
            name = self.open_calls.pop(content.call_id, "")
            self._emit(ToolResult(content.call_id, name, as_json(content.result)))

    def tell_calls(self) -> None:
        for call in self._calls.values():
            self.open_calls[call.id] = call.name
            self._emit(ToolCall(call.id, call.name, as_json(call.arguments)))
        self._calls.clear()

    def _collect(self, content: Any) -> None:
        """A call comes in pieces, and some services name its id in the first only."""
        self._last_call = content.call_id or self._last_call
        before = self._calls.get(self._last_call)
        arguments = content.arguments or ""
        if before is not None and isinstance(arguments, str):
            arguments = before.arguments + arguments
        name = before.name if before is not None else content.name
        self._calls[self._last_call] = ToolCall(self._last_call, name, arguments)


def input_request(request: Any) -> InputRequest:
    call = request.function_call
    return InputRequest(
        kind="approval", name=call.name, arguments=as_json(call.arguments), id=request.id
    )


def as_json(value: str | Mapping[str, Any] | None) -> Json:
    """What a text says in JSON, or the text."""
    if not isinstance(value, str):
        return to_jsonable_python(value)
    try:
        return json.loads(value)
    except ValueError:
        return value


def adapt(agent: Any, in_thread: InThread) -> AgentFrameworkAdapter:
    if WORKFLOW_AGENTS & {(one.__module__, one.__name__) for one in type(agent).__mro__}:
        raise Unsupported(WORKFLOW)
    return AgentFrameworkAdapter(agent)


FRAMEWORK = Framework(
    name="Microsoft Agent Framework",
    package="agent-framework-core",
    version="1.23.0",
    classes=frozenset({("agent_framework._agents", "BaseAgent")}),
    adapt=adapt,
    asks=True,
    takes=frozenset({"image", "file"}),
    refused={
        ("agent_framework._workflows._workflow", "Workflow"): WORKFLOW,
        ("agent_framework._workflows._functional", "FunctionalWorkflow"): WORKFLOW,
    },
)
