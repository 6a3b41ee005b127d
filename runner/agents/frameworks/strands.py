"""Strands: an `Agent`.

The object holds one conversation, so each turn begins with loading that conversation's snapshot,
whatever an earlier turn, kept or not, has left in it. A snapshot has the messages with their
tool calls and results, `agent.state`, open interrupts, and what the conversation manager and the
model remember. The system prompt is not in it: it is always the one the agent was made with.

A tool that is a plain `def` runs in a thread of asyncio's, which goes on after a cancelled turn.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Generator
from contextlib import aclosing, contextmanager
from os.path import splitext
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
from runner.agents.frameworks.framework import Framework, InThread, Unsupported, load
from runner.agents.frameworks.stoppable import call_insistently
from runner.agents.requests import Decision, InputRequest

MANAGER = "conversation_manager_state"

DOCUMENTS = frozenset({"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"})

UNSUPPORTED = {
    "_session_manager": "its session_manager would keep what failed turns left: leave it out, "
    "as the state of each conversation is kept here",
    "_background_tasks": "its background_tasks go on after the reply: leave them out",
    "_checkpointing": "checkpointing=True stops it before the reply: leave it out",
}
"""What an agent may have been made with, and what to do about it."""


class StrandsAgent:
    def __init__(self, agent: Any) -> None:
        self._agent = agent
        # A new conversation has the messages and the state that the agent was made with.
        self._new = agent.take_snapshot(preset="session", include=["system_prompt"]).to_dict()

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        # A tool that answers when it is cancelled waits until its answer is taken, and Strands,
        # which takes no more, waits for the tool.
        answered: Answered = await call_insistently(self._turn(asked, emit))
        return answered

    async def _turn(self, asked: Asked, emit: Emit) -> Answered:
        self._load(asked.state)
        reply = Reply(self._agent, emit)
        with _silenced(self._agent):
            async with aclosing(self._agent.stream_async(_prompt(asked))) as events:
                async for event in events:
                    reply.add(event)
        state = _json(self._agent.take_snapshot(preset="session").to_dict())
        return reply.answered(state)

    def _load(self, state: Json) -> None:
        data = dict(self._new["data"])
        if state is not None:
            kept = load("strands.types.session").decode_bytes_values(state["data"])
            if kept[MANAGER]["__name__"] != data[MANAGER]["__name__"]:
                del kept[MANAGER]  # The agent has another class of manager now, which refuses it.
            data |= kept
        snapshot = load("strands.types._snapshot").Snapshot
        self._agent.load_snapshot(snapshot.from_dict((state or self._new) | {"data": data}))
        # The old ones would keep each message of each conversation as long as the agent lives.
        self._agent.event_loop_metrics = load("strands.telemetry").EventLoopMetrics()


class Reply:
    """What comes of one call."""

    def __init__(self, agent: Any, emit: Emit) -> None:
        self._agent = agent
        self._emit = emit
        self._said = ""
        self._interrupted: dict[str, Any] = {}
        self._result: Any = None

    def add(self, event: dict[str, Any]) -> None:
        """Take in an event. Its keys say what it is."""
        if "data" in event:
            self._say(event["data"])
        elif event.get("reasoningText"):
            self._emit(Reasoning(event["reasoningText"]))
        elif "message" in event:
            for block in event["message"]["content"]:
                self._tell_tool(block)
        elif "tool_interrupt_event" in event:
            of = event["tool_interrupt_event"]
            self._interrupted |= {one.id: of["tool_use"] for one in of["interrupts"]}
        elif "result" in event:
            self._result = event["result"]

    def answered(self, state: Json) -> Answered:
        result = self._result
        requests = tuple(self._request(one) for one in result.interrupts or ())
        final = _text(result.message)
        if not requests and not self._said.endswith(final):
            self._say(final)  # A hook or a guardrail spoke in the model's place, and not in pieces.
        usage = result.metrics.accumulated_usage
        self._emit(Usage(usage["inputTokens"], usage["outputTokens"]))
        output = _json(result.structured_output)
        text = self._said if self._said or output is None else json.dumps(output)
        return Answered(text, state, output, requests)

    def _say(self, piece: str) -> None:
        if piece:
            self._said += piece
            self._emit(piece)

    def _tell_tool(self, block: Any) -> None:
        if call := block.get("toolUse"):
            self._emit(ToolCall(call["toolUseId"], call["name"], _json(call["input"])))
        elif result := block.get("toolResult"):
            id = result["toolUseId"]
            parts = [part.get("text", part.get("json", part)) for part in result["content"]]
            content = _json(parts[0] if len(parts) == 1 else parts)
            self._emit(ToolResult(id, self._tool(id), content))

    def _tool(self, id: str) -> str:
        """The name of the tool that was called so, in the turn before if a person was asked."""
        blocks = (block for said in reversed(self._agent.messages) for block in said["content"])
        calls = (block["toolUse"] for block in blocks if "toolUse" in block)
        return next((str(call["name"]) for call in calls if call["toolUseId"] == id), "")

    def _request(self, interrupt: Any) -> InputRequest:
        call = self._interrupted.get(interrupt.id, {"name": interrupt.name, "input": None})
        reason = _json(interrupt.reason)
        prompt = reason if isinstance(reason, str) else f"{interrupt.name}: {json.dumps(reason)}"
        return InputRequest(
            # A hook asks whether a tool may run; a tool asks whatever it wants to know.
            "approval" if interrupt.id.startswith("v1:before_tool_call:") else "question",
            interrupt.name if reason is None else prompt,
            call["name"],
            _json(call["input"]),
            interrupt.id,
        )


@contextmanager
def _silenced(agent: Any) -> Generator[None]:
    """By default an agent prints what it says to stdout, which hardly anybody wants of a server."""
    handlers, chosen = load("strands.handlers.callback_handler"), agent.callback_handler
    if type(chosen) is handlers.PrintingCallbackHandler:
        agent.callback_handler = handlers.null_callback_handler
    try:
        yield
    finally:
        agent.callback_handler = chosen


def _prompt(asked: Asked) -> Any:
    if asked.resume is None:
        return [_block(part) for part in asked.parts] or asked.message
    return [
        {"interruptResponse": {"interruptId": id, "response": _response(decision)}}
        for id, decision in asked.resume.items()
    ]


def _response(decision: Decision) -> Json:
    """Not a refusal's reason: `if answer:` would take it for a yes."""
    return decision.approve if decision.value is None else decision.value


def _block(part: Part) -> dict[str, Any]:
    if part["type"] == "text":
        return {"text": part["text"]}
    if "data" not in part or "media_type" not in part:
        raise ValueError("Strands takes the bytes of an image or a file, not its URL")
    source = {"bytes": b64decode(part["data"])}
    kind, _, format = part["media_type"].partition("/")
    if part["type"] == "image" or kind in ("image", "audio", "video"):
        return {kind: {"format": format, "source": source}}
    stem, suffix = splitext(part["name"])
    format = suffix[1:].lower()
    if kind == "text" and format not in DOCUMENTS:
        format = "txt"
    # Bedrock takes no other characters in a name, not even a dot.
    name = re.sub(r"[^A-Za-z0-9()\[\]-]+", " ", stem).strip() or "document"
    return {"document": {"format": format, "name": name, "source": source}}


def _text(message: Any) -> str:
    """What a message says. Text with citations is a level deeper."""
    blocks = message["content"]
    cited = [block.get("citationsContent", {}).get("content", [block]) for block in blocks]
    return "".join(part.get("text", "") for parts in cited for part in parts)


def _json(value: Any) -> Json:
    """As JSON. Strands has a way of its own for bytes, such as images."""
    return to_jsonable_python(load("strands.types.session").encode_bytes_values(value))


def adapt(agent: Any, in_thread: InThread) -> StrandsAgent:
    for name, what in UNSUPPORTED.items():
        if getattr(agent, name, None):
            raise Unsupported(what)
    return StrandsAgent(agent)


FRAMEWORK = Framework(
    name="Strands",
    package="strands-agents",
    version="1.62.0",
    classes=frozenset({("strands.agent.agent", "Agent")}),
    adapt=adapt,
    is_shared=False,
    asks=True,
    takes=frozenset({"image", "file"}),
    takes_urls=False,
    refused={
        ("strands.multiagent.base", "MultiAgentBase"): (
            "a Strands graph or swarm does one task and remembers no conversation. Serve a "
            "function: async def agent(message): return str(await swarm.invoke_async(message))"
        ),
        ("strands.agent.a2a_agent", "A2AAgent"): (
            "its conversation is kept by another server. Serve a function: "
            "async def agent(message): return str(await remote.invoke_async(message))"
        ),
        ("strands.bidi.agent.agent", "BidiAgent"): (
            "it speaks and listens at once, over a connection of its own. Serve a strands.Agent"
        ),
    },
)
