"""From bytes to what is asked, parsed once: what gets past here is valid everywhere behind it."""

from __future__ import annotations

import json
import re
from secrets import token_hex
from typing import Any, cast

from runner.api.exchange import Request
from runner.api.headers import (
    NO_WISHES,
    parse_deadline,
    parse_key,
    parse_prefer,
    parse_priority,
    parse_strategy,
)
from runner.api.problems import MALFORMED_JSON, NOT_JSON, TOO_LARGE, RequestError, wrong_field
from runner.settings import ServerSettings, Settings
from runner.turns.callers import scoped
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import Turn

DEFAULT_CONVERSATION = "default"

CONVERSATION_ID = re.compile(r"[A-Za-z0-9._:-]+")
COUNT = re.compile(r"[0-9]{1,9}")


def parse_submission(request: Request, settings: Settings) -> Submission:
    """What `POST /chat` asks for; its turn has a new id. Raises RequestError."""
    headers, limits = request.headers, settings.server
    _check_media_type(headers.get(b"content-type", b""))
    fields = _parse_object(request.body, limits.max_json_depth)
    own = parse_conversation(fields.get("conversation_id"), limits, "/conversation_id")
    turn = Turn(
        id=token_hex(16),
        conversation=scoped(request.caller, own),
        message=_parse_message(fields.get("message"), limits.max_message_bytes),
        deadline_s=parse_deadline(headers.get(b"turn-deadline-ms")),
        priority=parse_priority(headers.get(b"priority", b"")),
        strategy=parse_strategy(headers.get(b"turn-strategy"), settings.strategy.per_turn),
    )
    wishes = parse_prefer(request.scope["headers"]) if b"prefer" in headers else NO_WISHES
    return Submission(
        turn,
        on_disconnect=wishes.on_disconnect or settings.strategy.on_disconnect,
        key=parse_key(headers.get(b"idempotency-key")),
        respond_async=wishes.respond_async,
        wait_s=wishes.wait_s,
        stream=b"text/event-stream" in headers.get(b"accept", b"").lower(),
        applied=wishes.applied,
    )


def parse_conversation(value: object, limits: ServerSettings, pointer: str) -> str:
    """A conversation's id; None stands for the default one. Raises RequestError."""
    if value is None:
        return DEFAULT_CONVERSATION
    longest = limits.max_conversation_id_length
    if isinstance(value, str) and len(value) <= longest and CONVERSATION_ID.fullmatch(value):
        return value
    detail = f"A conversation id is 1 to {longest} characters of A-Z a-z 0-9 . _ : -"
    raise wrong_field(pointer, detail)


def check_conversation(service: Service, conversation: str) -> None:
    """Raise RequestError for a conversation that this agent cannot have."""
    if service.about.single_conversation and conversation != DEFAULT_CONVERSATION:
        detail = (
            "This agent is one object with one history, so there is one conversation, `default`. "
            "Serve its class or a factory to have one for each."
        )
        raise wrong_field("/conversation_id", detail)


def parse_count(text: str | None, default: int) -> int:
    """How many of something to give; 0 means all. Raises RequestError."""
    if text is None:
        return default
    if COUNT.fullmatch(text) is None:
        raise wrong_field("?count", "count is how many to give; 0 means all.")
    return int(text)


def _check_media_type(value: bytes) -> None:
    media_type = value.partition(b";")[0].strip().lower()
    if media_type != b"application/json" and not media_type.endswith(b"+json"):
        raise RequestError(NOT_JSON, "Send JSON, with Content-Type: application/json.")


def _parse_object(body: bytes, max_depth: int) -> dict[str, Any]:
    try:
        content: object = _DECODER.decode(body.decode("utf-8"))
        # Counting the brackets is enough for all but the oddest bodies, and costs nothing.
        if body.count(b"{") + body.count(b"[") > max_depth and _is_deeper(content, max_depth):
            raise RecursionError
    except RecursionError as error:
        raise RequestError(MALFORMED_JSON, f"JSON may be {max_depth} levels deep.") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError and our own two.
        raise RequestError(MALFORMED_JSON, f"Send one JSON object in UTF-8: {error}.") from error
    if not isinstance(content, dict):
        raise wrong_field("", 'Send a JSON object: {"message": "..."}.')
    return cast("dict[str, Any]", content)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return fields


_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_duplicates)


def _is_deeper(content: object, levels: int) -> bool:
    """Walked level by level: recursion is what is to be avoided."""
    level = [content]
    for _ in range(levels):
        level = [part for value in level for part in _parts(value)]
    return any(isinstance(value, dict | list) for value in level)


def _parts(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*cast("dict[str, object]", value).values()]
    return cast("list[object]", value) if isinstance(value, list) else []


def _parse_message(message: object, max_bytes: int) -> str:
    if not isinstance(message, str) or not message:
        raise wrong_field("/message", 'The body needs "message", a text that is not empty.')
    try:
        size = len(message.encode("utf-8"))
    except UnicodeEncodeError as error:
        detail = "The message holds half a surrogate pair, which is no character."
        raise wrong_field("/message", detail) from error
    if size > max_bytes:
        detail = f"The message has {size} bytes; {max_bytes} are allowed."
        raise RequestError(TOO_LARGE, detail, pointer="/message")
    return message
