"""What `POST /chat` asks: a text, a list of parts, or answers to what an agent requested."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, cast

from runner.agents.base import About, Part
from runner.agents.requests import Decision
from runner.api.names import as_pointer
from runner.api.problems import TOO_LARGE, RequestError, wrong_field
from runner.settings import ServerSettings
from runner.turns.content import Content, Resume, in_words

MOST_PARTS = 64
MOST_METADATA = 16
LONGEST_METADATA = 512
LONGEST_NAME = 64

MESSAGE_IS = 'The body needs "message": a text that is not empty, or a list of parts.'
PART_IS = {
    "text": 'A text part is {"type": "text", "text": "..."}.',
    "image": 'An image is {"type": "image", "url": "https://..."} or '
    '{"type": "image", "media_type": "image/png", "data": "..."} with base64.',
    "file": 'A file is {"type": "file", "name": "...", "media_type": "...", "data": "..."} with '
    'base64, or with "url" in place of "data".',
}
METADATA_IS = (
    f'"metadata" is an object of at most {MOST_METADATA} texts, each of at most '
    f"{LONGEST_METADATA} characters, with names of at most {LONGEST_NAME}."
)
RESUME_IS = (
    '"resume" is "cancel", or an object with {"approve": true or false, "value"?: any JSON, '
    '"reason"?: "..."} for the id of each request.'
)
URL = re.compile(r"https?://[^\s]{1,8000}")
MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")


def parse_content(
    fields: Mapping[str, Any], limits: ServerSettings, about: About
) -> tuple[str, Content | None]:
    """The message as text, and what is asked of the agent besides. Raises RequestError."""
    for name in ("message", "metadata", "resume"):
        _check_whole(fields.get(name), f"/{name}")
    metadata = _metadata(fields.get("metadata"))
    parts: tuple[Part, ...] = ()
    resume: Resume | None = None
    if "resume" in fields:
        if "message" in fields:
            raise wrong_field("/message", 'Send "message" or "resume", not both.')
        resume = _resume(fields["resume"])
        message = in_words(resume)
    elif isinstance(fields.get("message"), list):
        message, parts = _parts(fields["message"], about)
    else:
        message = _text(fields.get("message"))
    pointer = "/message" if resume is None else "/resume"
    if (size := _size(message, pointer)) > limits.max_message_bytes:
        detail = f"The message has {size} bytes; {limits.max_message_bytes} are allowed."
        raise RequestError(TOO_LARGE, detail, pointer=pointer)
    if not (parts or metadata or resume is not None):
        return message, None
    return message, Content(parts, metadata, resume)


def _check_whole(value: object, pointer: str) -> None:
    """Raise RequestError for what JSON has and UTF-8, or a reader of JSON, has not."""
    if value is None or isinstance(value, str):
        return  # One text is looked at when it is measured.
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _half_a_character(pointer) from error
    except ValueError as error:
        raise wrong_field(pointer, "A number is too large to be one.") from error


def _text(message: object) -> str:
    if not isinstance(message, str) or not message:
        raise wrong_field("/message", MESSAGE_IS)
    return message


def _size(text: str, pointer: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise _half_a_character(pointer) from error


def _half_a_character(pointer: str) -> RequestError:
    return wrong_field(pointer, "A text holds half a surrogate pair, which is no character.")


def _parts(listed: list[Any], about: About) -> tuple[str, tuple[Part, ...]]:
    """Their text; and the parts, where there are others than text."""
    if not 0 < len(listed) <= MOST_PARTS:
        raise wrong_field("/message", f"A message has 1 to {MOST_PARTS} parts.")
    for place, part in enumerate(listed):
        _check_part(part, f"/message/{place}", about)
    message = "\n".join(part["text"] for part in listed if part["type"] == "text")
    only_text = all(part["type"] == "text" for part in listed)
    return message, () if only_text else tuple(cast("list[Part]", listed))


def _check_part(sent: object, pointer: str, about: About) -> None:
    part = cast("dict[str, Any]", sent) if isinstance(sent, dict) else {}
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in PART_IS:
        raise wrong_field(f"{pointer}/type", 'The type of a part is "text", "image" or "file".')
    if kind != "text" and kind not in about.takes:
        known = ", ".join(sorted({"text", *about.takes}))
        raise wrong_field(f"{pointer}/type", f"This agent takes no {kind}s. It takes: {known}.")
    has_url = "url" in part
    if has_url and not about.takes_urls:
        raise wrong_field(f"{pointer}/url", f"This agent fetches nothing: send the {kind}'s data.")
    wanted = {
        "text": {"text"},
        "image": {"url"} if has_url else {"media_type", "data"},
        "file": {"name", "media_type", "url" if has_url else "data"},
    }[kind]
    for name in sorted(({*part} - {"type"}) ^ wanted):
        raise wrong_field(f"{pointer}/{as_pointer(name)}", PART_IS[kind])
    for name in sorted(wanted):
        value = part[name]
        if not isinstance(value, str) or not value or not _fits(name, value):
            raise wrong_field(f"{pointer}/{name}", PART_IS[kind])


def _fits(name: str, value: str) -> bool:
    if name == "url":
        return URL.fullmatch(value) is not None
    if name == "media_type":
        return MEDIA_TYPE.fullmatch(value) is not None
    if name == "data":
        return _is_base64(value)
    return name != "name" or len(value) <= LONGEST_METADATA


def _is_base64(value: str) -> bool:
    try:
        return bool(binascii.a2b_base64(value, strict_mode=True))
    except ValueError:
        return False


def _metadata(value: Any) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(cast("dict[str, Any]", value)) > MOST_METADATA:
        raise wrong_field("/metadata", METADATA_IS)
    metadata = cast("dict[str, Any]", value)
    for name, text in metadata.items():
        is_text = isinstance(text, str) and len(text) <= LONGEST_METADATA
        if not is_text or not 0 < len(name) <= LONGEST_NAME:
            raise wrong_field("/metadata", METADATA_IS)
    return metadata


def _resume(value: Any) -> Resume:
    if value == "cancel":
        return "cancel"
    if not isinstance(value, dict) or not value:
        raise wrong_field("/resume", RESUME_IS)
    answers = cast("dict[str, Any]", value).items()
    return {name: _decision(said, f"/resume/{as_pointer(name)}") for name, said in answers}


def _decision(value: Any, pointer: str) -> Decision:
    if not isinstance(value, dict):
        raise wrong_field(pointer, RESUME_IS)
    said = cast("dict[str, Any]", value)
    reason = said.get("reason", "")
    has_approve = isinstance(said.get("approve"), bool)
    if not (has_approve and isinstance(reason, str) and {*said} <= {"approve", "value", "reason"}):
        raise wrong_field(pointer, RESUME_IS)
    return Decision(said["approve"], said.get("value"), reason)
