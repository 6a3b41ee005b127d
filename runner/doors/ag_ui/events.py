"""A turn's events in the words of AG-UI.

Its clients check the order and throw: a run is opened first and closed last, what is open
must be closed before it, and the id of a message that they have seen already is passed over.
So ids are made of the turn's and count up, and one thing at a time is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic_core import from_json

from runner.api import documents
from runner.api.exchange import Headers, to_json
from runner.api.problems import problem_text
from runner.api.stream import event
from runner.doors.ag_ui.run import Run
from runner.turns.events import Event
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

VERSION = "1.0"

ON_PURPOSE = ("turn-cancelled", "turn-interrupted")
"""What ended thus did not fail: 1.0 has an outcome of its own for it."""

APPROVAL = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["approved"],
}

Kind = Literal["text", "reasoning"]


class RunEvents:
    """`Words` of one stream."""

    def __init__(self, service: Service, live: LiveTurn, run: Run) -> None:
        self._service = service
        self._live = live
        self._run = run
        self._open: Kind | None = None
        self._message = ""
        self._count = 0
        self._usage: dict[str, Any] = {}

    @property
    def headers(self) -> Headers:
        return (("location", f"/turns/{self._live.turn.id}"),)

    def opening(self) -> bytes:
        version = {"protocolVersion": VERSION} if self._run.has_version else {}
        return self._of_run("RUN_STARTED", **version)

    def encode(self, told: Event) -> bytes:
        match told.kind:
            case "delta":
                return self._piece("text", told.text)
            case "queued" | "position":
                return _custom("position", documents.standing(self._live))
            case "started":
                attempt = {"turn_id": self._live.turn.id, "attempt": self._live.attempts}
                return self._close() + _custom("started", attempt)
            case "told":
                assert told.told is not None
                return self._told(told.told.kind, from_json(told.told.data))
            case "end":
                return self._close() + self._end()

    def _told(self, kind: str, data: dict[str, Any]) -> bytes:
        match kind:
            case "reasoning":
                return self._piece("reasoning", data["text"])
            case "tool_call":
                return self._close() + _call(data)
            case "tool_result":
                named = {"messageId": self._next_id(), "toolCallId": data["id"]}
                content = _text(data["content"])
                return self._close() + _event("TOOL_CALL_RESULT", **named, content=content)
            case _:
                count = {"inputTokens": data["input_tokens"], "outputTokens": data["output_tokens"]}
                self._usage = {"usage": [count]}
                return b""

    def _piece(self, kind: Kind, text: str) -> bytes:
        opening = b"" if self._open == kind else self._close() + self._begin(kind)
        name = "TEXT_MESSAGE" if kind == "text" else "REASONING_MESSAGE"
        return opening + _event(f"{name}_CONTENT", messageId=self._message, delta=text)

    def _begin(self, kind: Kind) -> bytes:
        self._open, self._message = kind, self._next_id()
        if kind == "text":
            return _event("TEXT_MESSAGE_START", messageId=self._message, role="assistant")
        began = _event("REASONING_START", messageId=self._message)
        return began + _event("REASONING_MESSAGE_START", messageId=self._message, role="reasoning")

    def _close(self) -> bytes:
        kind, self._open = self._open, None
        if kind is None:
            return b""
        if kind == "text":
            return _event("TEXT_MESSAGE_END", messageId=self._message)
        ended = _event("REASONING_MESSAGE_END", messageId=self._message)
        return ended + _event("REASONING_END", messageId=self._message)

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._live.turn.id}-{self._count}"

    def _end(self) -> bytes:
        document: Mapping[str, Any] = documents.ended(self._service, self._live)
        if "title" not in document:
            result = {"result": document["output"]} if "output" in document else {}
            return self._of_run("RUN_FINISHED", **result, **_outcome(document), **self._usage)
        told, cause = _custom("problem", document), document["type"].rpartition(":")[2]
        if cause in ON_PURPOSE and self._run.has_version:
            cancelled = {"type": "cancelled"}
            return told + self._of_run("RUN_FINISHED", outcome=cancelled, **self._usage)
        return told + _event("RUN_ERROR", message=problem_text(document), code=cause, **self._usage)

    def _of_run(self, kind: str, **fields: object) -> bytes:
        return _event(kind, threadId=self._run.thread, runId=self._run.id, **fields)


def _outcome(document: Mapping[str, Any]) -> dict[str, Any]:
    requests = document.get("requests")
    if not requests:
        return {}
    return {"outcome": {"type": "interrupt", "interrupts": [*map(_interrupt, requests)]}}


def _interrupt(request: Mapping[str, Any]) -> dict[str, Any]:
    asked = {name: request[name] for name in ("name", "arguments") if name in request}
    is_approval = request["kind"] == "approval"
    found: dict[str, Any] = {
        "id": request["id"],
        "reason": "tool_call" if is_approval else "input_required",
        "message": request.get("prompt") or f"May {request.get('name', 'it')} be used?",
    }
    if asked:
        found["metadata"] = asked
    return found | ({"responseSchema": APPROVAL} if is_approval else {})


def _call(data: Mapping[str, Any]) -> bytes:
    call = {"toolCallId": data["id"]}
    began = _event("TOOL_CALL_START", **call, toolCallName=data["name"])
    arguments = _event("TOOL_CALL_ARGS", **call, delta=_text(data["arguments"]))
    return began + arguments + _event("TOOL_CALL_END", **call)


def _text(value: object) -> str:
    return value if isinstance(value, str) else to_json(value).decode()


def _custom(name: str, value: object) -> bytes:
    return _event("CUSTOM", name=f"turnline.{name}", value=value)


def _event(kind: str, **fields: object) -> bytes:
    return event(to_json({"type": kind, **fields}))
