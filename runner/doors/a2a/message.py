"""What a client of A2A asks for with one message, in our words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

from runner.api import documents
from runner.api.content import parse_content
from runner.api.exchange import Request
from runner.api.parsing import DEFAULT_CONVERSATION, check_conversation, parse_conversation
from runner.api.problems import wrong_field
from runner.callers import own_id
from runner.doors.a2a import errors
from runner.doors.a2a.errors import RpcError
from runner.doors.a2a.tasks import find_task
from runner.turns.content import Content
from runner.turns.service import Service

Fields = Mapping[str, Any]

YES = ("yes", "approve", "approved", "ok", "true")
NO = ("no", "deny", "denied", "reject", "rejected", "cancel", "false")

ANSWER_IS = (
    "This task waits for answers. A text answers a single question, and begins with yes or no "
    "where a tool is to be approved; else send a data part with an object for each request's id: "
    '{"<id>": {"approve": true or false, "value"?: any JSON, "reason"?: "..."}}.'
)
IS_OVER = (
    "The task does not wait for input, and a message is a task of its own: "
    "send it with the contextId and without the taskId."
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message. `context` is the conversation's id as its caller gave it."""

    context: str
    message: str
    content: Content | None


async def parse_message(service: Service, request: Request, params: Fields) -> Sent:
    """Raises RequestError, RpcError."""
    sent, limits = object_of(params.get("message")), service.settings.server
    if sent.get("role", "ROLE_USER") != "ROLE_USER":
        raise wrong_field("/params/message/role", "A message to the agent has ROLE_USER.")
    parts = list_of(sent.get("parts"))
    context = sent.get("contextId") or None
    if sent.get("taskId"):
        context, own_fields = await _continued(service, request, sent, parts)
    else:
        own_fields = {"message": [*map(_part, parts)]}
    if context is None:
        is_one = service.about.single_conversation
        context = DEFAULT_CONVERSATION if is_one else str(uuid4())
    own = parse_conversation(context, limits, "/params/message/contextId")
    check_conversation(service, own, "/params/message/contextId")
    _check_kinds(own_fields, service)
    return Sent(own, *parse_content(own_fields, limits, service.about))


def _part(sent: object) -> dict[str, Any]:
    """As `parse_content` takes it. Data is given to an agent as the JSON that it is."""
    part = object_of(sent)
    media_type = part.get("mediaType") or "application/octet-stream"
    is_image = str(media_type).startswith("image/")
    named = {"name": part.get("filename") or "file", "media_type": media_type}
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    if "raw" in part:
        file = {"media_type": media_type, "data": part["raw"]}
        return {"type": "image", **file} if is_image else {"type": "file", **named, **file}
    if "url" in part:
        file = {"url": part["url"]}
        return {"type": "image", **file} if is_image else {"type": "file", **named, **file}
    if "data" in part:
        return {"type": "text", "text": _as_text(part["data"])}
    raise wrong_field("/params/message/parts", "A part has text, raw, url or data.")


def _as_text(data: object) -> str:
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise wrong_field("/params/message/parts", "A number is too large to be one.") from error


def _check_kinds(own_fields: Fields, service: Service) -> None:
    for part in list_of(own_fields.get("message")):
        if part["type"] != "text" and part["type"] not in service.about.takes:
            raise RpcError(errors.CONTENT_TYPE, f"This agent takes no {part['type']}s.")


# Answers to what a task waits for.


async def _continued(
    service: Service, request: Request, sent: Fields, parts: list[Any]
) -> tuple[str, dict[str, Any]]:
    """The context of the task, and the answers."""
    live = await find_task(service, request, sent["taskId"])
    context = own_id(live.turn.conversation)
    if sent.get("contextId") not in (None, "", context):
        raise wrong_field("/params/message/contextId", "The task is of another context.")
    requests = documents.turn(service, live).get("requests")
    if not requests:
        raise RpcError(errors.UNSUPPORTED, IS_OVER)
    return context, {"resume": _answers(requests, [object_of(part) for part in parts])}


def _answers(requests: Sequence[Any], parts: list[dict[str, Any]]) -> object:
    data = [part["data"] for part in parts if "data" in part]
    if data:
        return object_of(data[0]).get("resume", data[0])
    text = "\n".join(str(part["text"]) for part in parts if "text" in part)
    if len(requests) != 1 or not text or len(parts) > 1:
        raise wrong_field("/params/message/parts", ANSWER_IS)
    (asked,) = requests
    if asked["kind"] == "question":
        return {asked["id"]: {"approve": True, "value": text}}
    first = (re.findall(r"\w+", text.casefold()) or [""])[0]
    if first not in (*YES, *NO):
        raise wrong_field("/params/message/parts", ANSWER_IS)
    decision = {"approve": True} if first in YES else {"approve": False, "reason": text}
    return {asked["id"]: decision}


def object_of(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    return [*cast("Iterable[Any]", value)] if isinstance(value, list) else []
