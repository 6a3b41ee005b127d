"""From bytes to what is asked, parsed once: what gets past here is valid everywhere behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
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
    wants_events,
)
from runner.api.problems import (
    MALFORMED_JSON,
    NOT_JSON,
    TOO_LARGE,
    WRONG_FIELD,
    RequestError,
)
from runner.settings import ServerSettings, Settings
from runner.turns.callers import scoped
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import Turn

DEFAULT_CONVERSATION = "default"

CONVERSATION_ID = re.compile(r"[A-Za-z0-9._:-]+")


def parse_submission(request: Request, settings: Settings) -> Submission:
    """What `POST /chat` asks for; its turn has a new id. Raises RequestError."""
    headers, limits = request.headers, settings.server
    _check_media_type(headers.get(b"content-type", b""))
    fields = _parse_object(request.body, limits.max_json_depth)
    own = parse_conversation(fields.get("conversation_id"), limits, "/conversation_id")
    turn = Turn(
        id=token_hex(16),
        conversation=scoped(request.caller, own),
        message=_parse_message(fields, limits.max_message_bytes),
        deadline_s=parse_deadline(headers.get(b"turn-deadline-ms")),
        priority=parse_priority(headers.get(b"priority")),
        strategy=parse_strategy(headers.get(b"turn-strategy"), settings.strategy.per_turn),
    )
    wishes = parse_prefer(request.scope["headers"]) if b"prefer" in headers else NO_WISHES
    return Submission(
        turn,
        on_disconnect=wishes.on_disconnect or settings.strategy.on_disconnect,
        key=parse_key(headers.get(b"idempotency-key")),
        respond_async=wishes.respond_async,
        wait_s=wishes.wait_s,
        stream=wants_events(headers.get(b"accept", b"")),
        applied=wishes.applied,
    )


def parse_conversation(value: object, limits: ServerSettings, pointer: str) -> str:
    """A conversation's id; None stands for the default one. Raises RequestError."""
    if value is None:
        return DEFAULT_CONVERSATION
    longest = limits.max_conversation_id_length
    if (
        not isinstance(value, str)
        or len(value) > longest
        or CONVERSATION_ID.fullmatch(value) is None
    ):
        detail = f"A conversation id is 1 to {longest} characters of A-Z a-z 0-9 . _ : -"
        raise RequestError(WRONG_FIELD, detail, pointer=pointer)
    return value


def check_conversation(service: Service, conversation: str) -> None:
    """Raise RequestError for a conversation that this agent cannot have."""
    if service.about.single_conversation and conversation != "default":
        detail = (
            "This agent is one object with one history, so there is one conversation, `default`. "
            "Serve its class or a factory to have one for each."
        )
        raise RequestError(WRONG_FIELD, detail, pointer="/conversation_id")


def parse_count(text: str | None, default: int) -> int:
    """How many of something to give; 0 means all. Raises RequestError."""
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        detail = "count is how many to give; 0 means all."
        raise RequestError(WRONG_FIELD, detail, pointer="?count")
    return int(text)


def _check_media_type(value: bytes) -> None:
    media_type = value.partition(b";")[0].strip().lower()
    if media_type != b"application/json" and not media_type.endswith(b"+json"):
        raise RequestError(NOT_JSON, "Send JSON, with Content-Type: application/json.")


def _parse_object(body: bytes, max_depth: int) -> dict[str, Any]:
    try:
        content: object = _DECODER.decode(body.decode("utf-8"))
    except RecursionError as error:
        raise RequestError(MALFORMED_JSON, f"JSON may be {max_depth} levels deep.") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError and our own two.
        raise RequestError(MALFORMED_JSON, f"Send one JSON object in UTF-8: {error}.") from error
    if not isinstance(content, dict):
        raise RequestError(WRONG_FIELD, 'Send a JSON object: {"message": "..."}.', pointer="")
    # Counting the brackets is enough for all but the oddest bodies, and costs nothing.
    if (
        body.count(b"{") + body.count(b"[") > max_depth
        and _depth(cast(object, content)) > max_depth
    ):
        raise RequestError(MALFORMED_JSON, f"JSON may be {max_depth} levels deep.")
    return cast("dict[str, Any]", content)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return fields


_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_duplicates)


def _depth(content: object) -> int:
    """The levels of a parsed value, walked level by level: recursion is what is to be avoided."""
    depth, level = 0, [content]
    while level:
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(cast("dict[str, object]", value).values())
            elif isinstance(value, list):
                below.extend(cast("list[object]", value))
        nested = any(isinstance(value, dict | list) for value in level)
        depth, level = depth + nested, below
    return depth


def _parse_message(fields: Mapping[str, object], max_bytes: int) -> str:
    message = fields.get("message")
    if not isinstance(message, str) or not message:
        detail = 'The body needs "message", a text that is not empty.'
        raise RequestError(WRONG_FIELD, detail, pointer="/message")
    try:
        size = len(message.encode("utf-8"))
    except UnicodeEncodeError as error:
        detail = "The message holds half a surrogate pair, which is no character."
        raise RequestError(WRONG_FIELD, detail, pointer="/message") from error
    if size > max_bytes:
        detail = f"The message has {size} bytes; {max_bytes} are allowed."
        raise RequestError(TOO_LARGE, detail, pointer="/message")
    return message
