"""What a client of AG-UI asks for with one run, in our words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from runner.api.content import parse_content
from runner.api.exchange import Request
from runner.api.parsing import check_conversation, parse_conversation, parse_fields
from runner.api.problems import wrong_field
from runner.callers import scoped
from runner.turns.content import Content
from runner.turns.service import Service

Fields = Mapping[str, Any]

LATEST = 20
"""Messages of the history among which one that is sent with `resume` is looked for."""

NO_MESSAGE = "The last message must be the user's: it is the turn, and the agent answers it."
A_RESULT = (
    "The last message is the result of a tool of the client's. This agent is given no tools by "
    "its clients; a question of its own ends a run with an interrupt, and `resume` answers it."
)
RESUME_IS = (
    '"resume" is a list of {"interruptId": "...", "status": "resolved" or "cancelled", '
    '"payload"?: any JSON}, with one for each interrupt that is open.'
)
AND_A_MESSAGE = (
    "There is a new message beside the answers, and a run is one turn: "
    "answer the interrupts first, then send the message with a run of its own."
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    thread       the conversation's id as its caller gave it.
    id           the client's, which its events repeat.
    has_version  its client speaks 1.0 or later, and says so.
    """

    thread: str
    id: str
    has_version: bool
    message: str
    content: Content | None


async def parse_run(service: Service, request: Request) -> Run:
    """Raises RequestError."""
    fields = parse_fields(service, request)
    limits = service.settings.server
    thread = parse_conversation(fields.get("threadId") or "", limits, "/threadId")
    check_conversation(service, thread, "/threadId")
    own_fields: dict[str, Any]
    if resume := fields.get("resume"):
        await _check_no_message(service, scoped(request.caller, thread), fields)
        own_fields = {"resume": _resume(resume)}
    else:
        own_fields = {"message": _message(_list(fields.get("messages")))}
    message, content = parse_content(own_fields, limits, service.about)
    run_id, version = fields.get("runId"), fields.get("protocolVersion")
    if not isinstance(run_id, str) or not _is_whole(run_id):
        raise wrong_field("/runId", "A run needs an id that the client has made, a text.")
    return Run(thread, run_id, isinstance(version, str), message, content)


def _message(listed: list[Any]) -> object:
    """The text of the last message, or its parts as ours."""
    last = _object(listed[-1]) if listed else {}
    if last.get("role") == "tool":
        raise wrong_field(f"/messages/{len(listed) - 1}/role", A_RESULT)
    if last.get("role") != "user":
        raise wrong_field("/messages", NO_MESSAGE)
    content = last.get("content")
    return [*map(_part, _list(content))] if isinstance(content, list) else content


def _part(sent: object) -> dict[str, Any]:
    """As `parse_content` takes it; what there is nothing of here is refused there."""
    part = _object(sent)
    match part.get("type"):
        case "text":
            return {"type": "text", "text": part.get("text")}
        case "image":
            return {"type": "image", **_source(_object(part.get("source")), {})}
        case "document":
            return _file(part.get("metadata"), _object(part.get("source")))
        case "binary":  # Of versions before 1.0.
            return _binary(part)
        case kind:
            return {"type": kind}


def _file(metadata: object, source: Fields) -> dict[str, Any]:
    said = _object(metadata)
    name = said.get("filename") or said.get("name") or "document"
    media_type = source.get("mimeType") or "application/octet-stream"
    return {"type": "file", "name": name, **_source(source, {"media_type": media_type})}


def _source(source: Fields, beside_url: Fields) -> dict[str, Any]:
    match source.get("type"):
        case "url":
            return {**beside_url, "url": source.get("value")}
        case "data":
            return {"media_type": source.get("mimeType"), "data": source.get("value")}
        case kind:  # A handle of a provider's, which only that provider can read.
            raise wrong_field("/messages", f"Send data or a URL; {kind!r:.32} is not read.")


def _binary(part: Fields) -> dict[str, Any]:
    kind, value = ("data", part["data"]) if part.get("data") else ("url", part.get("url"))
    source = {"type": kind, "value": value, "mimeType": part.get("mimeType")}
    if str(part.get("mimeType")).startswith("image/"):
        return {"type": "image", **_source(source, {})}
    return _file({"filename": part.get("filename")}, source)


def _resume(sent: object) -> object:
    """As our `resume`: all of them cancelled is "cancel"."""
    entries = [*map(_object, _list(sent))]
    whole = all(
        isinstance(one.get("interruptId"), str) and one.get("status") in ("resolved", "cancelled")
        for one in entries
    )
    if not entries or not whole:
        raise wrong_field("/resume", RESUME_IS)
    if all(one["status"] == "cancelled" for one in entries):
        return "cancel"
    return {one["interruptId"]: _decision(one) for one in entries}


def _decision(entry: Fields) -> dict[str, Any]:
    """`payload` is what the response schema of an approval says, or a bool, or any answer."""
    if entry["status"] == "cancelled":
        return {"approve": False, "reason": "cancelled"}
    payload = entry.get("payload")
    if isinstance(payload, bool):
        return {"approve": payload}
    said = _object(payload)
    approve = said.get("approved", said.get("approve"))
    if not isinstance(approve, bool):
        return {"approve": True, "value": payload}
    found = {"approve": approve, "reason": str(said.get("reason") or "")}
    return found | ({"value": said["value"]} if "value" in said else {})


async def _check_no_message(service: Service, conversation: str, fields: Fields) -> None:
    """Raise RequestError where a message that was not sent before would be lost.

    A client sends its whole past with `resume` too, so the last message is mostly an old one.
    """
    listed = _list(fields.get("messages"))
    last = _object(listed[-1]) if listed else {}
    content = last.get("content")
    if last.get("role") != "user" or not isinstance(content, str):
        return
    latest = await service.messages(conversation, LATEST)
    if not any(one["role"] == "user" and one["content"] == content for one in latest):
        raise wrong_field("/messages", AND_A_MESSAGE)


def _is_whole(text: str) -> bool:
    """Whether it can be sent again: JSON has half a surrogate pair, and UTF-8 has not."""
    return text == text.encode(errors="ignore").decode()


def _list(value: Any) -> list[Any]:
    return [*cast("Iterable[Any]", value)] if isinstance(value, list) else []


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
