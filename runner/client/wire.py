"""From bytes to what they mean: server-sent events (WHATWG HTML, 9.2), and JSON documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from runner.client.errors import TurnlineError, asked_of, error_of
from runner.client.shapes import (
    STATES,
    Document,
    Event,
    Piece,
    Reasoning,
    Reply,
    Said,
    Started,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
    Waiting,
)


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream, as it came."""

    id: str | None
    kind: str
    data: str


class EventParser:
    """Bytes in whatever portions they come; what was read is not looked at again."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._seen = 0
        self._fields: dict[str, list[str]] = {}

    def feed(self, data: bytes) -> Iterator[Told]:
        """The events that are whole now."""
        self._rest += data
        begin = 0
        while (end := self._rest.find(b"\n", max(begin, self._seen))) >= 0:
            line = self._rest[begin:end].decode(errors="replace").removesuffix("\r")
            begin = end + 1
            if line:
                name, _, value = line.partition(":")
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
            elif fields := self._fields:
                self._fields = {}
                if "data" in fields:
                    told_id = fields["id"][-1] if "id" in fields else None
                    yield Told(told_id, fields.get("event", [""])[-1], "\n".join(fields["data"]))
        del self._rest[:begin]
        self._seen = len(self._rest)


def event_of(kind: str, data: Document) -> Event | None:
    """An event that is not the last; None for one that this client does not know."""
    match kind:
        case "delta":
            return Piece(_text(data["text"]))
        case "queued" | "position":
            between = data.get("eta_range_s")
            place = data.get("position"), data.get("eta_s")
            return Waiting(data["turn_id"], *place, tuple(between) if between else None)
        case "started":
            return Started(data["turn_id"], data["attempt"])
        case "reasoning":
            return Reasoning(_text(data["text"]))
        case "tool_call":
            return ToolCall(data["id"], data["name"], data.get("arguments"))
        case "tool_result":
            return ToolResult(data["id"], data["name"], data.get("content"))
        case "usage":
            return Usage(data["input_tokens"], data["output_tokens"])
        case _:
            return None


def ending_of(document: Document, usage: Usage | None = None) -> Reply | TurnlineError:
    """Of the body of a 200: a reply, or what the agent asks."""
    if document.get("requests"):
        return asked_of(document)
    return Reply(
        text=_text(document["response"]),
        turn_id=str(document.get("turn_id") or ""),
        conversation_id=str(document.get("conversation_id") or ""),
        number=document.get("turn") or 0,
        agent_id=str(document.get("agent_id") or ""),
        output=document.get("output"),
        usage=usage,
        interrupted=bool(document.get("interrupted")),
        attempt=document.get("attempt") or 1,
        waited_ms=document.get("waited_ms") or 0,
        ran_ms=document.get("ran_ms") or 0,
    )


def turn_of(document: Document) -> Turn:
    """Of `GET /turns/{id}`, or of a 202 or 200 of `POST /chat`."""
    state = document.get("state") or "answered"
    turn = Turn(
        id=document["turn_id"],
        conversation_id=document["conversation_id"],
        state=state if state in STATES else "failed",
        position=document.get("position"),
        eta_s=document.get("eta_s"),
        attempt=document.get("attempt") or 0,
        fenced=bool(document.get("fenced")),
    )
    if "problem" in document:
        return replace(turn, error=error_of(document["problem"]))
    if "response" not in document:
        return turn
    ending = ending_of(document)
    if isinstance(ending, Reply):
        return replace(turn, reply=ending)
    return replace(turn, error=ending)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is wanted here")
    return value


def history_of(document: Document) -> list[Said]:
    return [Said(one["role"], one["content"]) for one in document["messages"]]


def object_of(text: str | bytes) -> dict[str, Any] | None:
    """The object of JSON; None for anything else."""
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", content) if isinstance(content, dict) else None
