"""The parts of a message as the responses of OpenAI have them, made into ours."""

from __future__ import annotations

import re
from mimetypes import types_map
from pathlib import PurePosixPath
from typing import Any, TypeGuard, cast

from runner.agents.base import Part
from runner.api.problems import wrong_field

DATA_URL = re.compile(r"data:([^;,]+)(?:;[^;,]+)*;base64,(.*)", re.DOTALL)
NO_FILES = "This server keeps no files: send the data itself, or a URL."
CONTENT_IS = 'A "content" is a text, or a list of parts: input_text, input_image, input_file.'
SAID_IS = "What was said before is text: parts of the type output_text."


def as_parts(content: object, pointer: str) -> list[dict[str, Any]]:
    """Unchecked as to their data. Raises RequestError for parts of another kind."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not (parts := listed(content)):
        raise wrong_field(pointer, CONTENT_IS)
    return [_as_part(part, pointed(pointer, place)) for place, part in enumerate(parts)]


def as_sent(part: Part) -> dict[str, Any]:
    """One of ours, as its client knows it."""
    if part["type"] == "text":
        return {"type": "input_text", "text": part["text"]}
    url = part.get("url") or f"data:{part.get('media_type')};base64,{part.get('data')}"
    if part["type"] == "image":
        return {"type": "input_image", "image_url": url, "detail": "auto"}
    name = "file_url" if "url" in part else "file_data"
    return {"type": "input_file", "filename": part.get("name"), name: url}


def reply_text(content: object, pointer: str) -> str:
    """What an agent said: its client may quote it in parts. Raises RequestError."""
    if isinstance(content, str):
        return content
    found: list[str] = []
    for place, part in enumerate(listed(content)):
        shown = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
        text = shown.get("refusal" if shown.get("type") == "refusal" else "text")
        if not isinstance(text, str):
            raise wrong_field(pointed(pointer, place), SAID_IS)
        found.append(text)
    return "".join(found)


def listed(sent: object) -> list[Any]:
    """It, or nothing where it is no list."""
    return sent if _is_list(sent) else []


def _is_list(sent: object) -> TypeGuard[list[Any]]:
    return isinstance(sent, list)


def pointed(pointer: str, place: object) -> str:
    return f"{pointer}/{place}"


def _as_part(sent: object, pointer: str) -> dict[str, Any]:
    part = cast("dict[str, Any]", sent) if isinstance(sent, dict) else {}
    if part.get("file_id"):
        raise wrong_field(pointed(pointer, "file_id"), NO_FILES)
    match part.get("type"):
        case "input_text" | "text":
            if not isinstance(part.get("text"), str):
                raise wrong_field(pointed(pointer, "text"), CONTENT_IS)
            return {"type": "text", "text": part["text"]}
        case "input_image":
            return {"type": "image", **_source(part.get("image_url"))}
        case "input_file":
            return _file(part)
        case _:
            raise wrong_field(pointed(pointer, "type"), CONTENT_IS)


def _file(part: dict[str, Any]) -> dict[str, Any]:
    url = part.get("file_url")
    name = part.get("filename") or str(url or "file").rpartition("/")[2] or "file"
    guessed = types_map.get(PurePosixPath(str(name)).suffix.lower(), "application/octet-stream")
    found: dict[str, Any] = {"type": "file", "name": name, "media_type": guessed}
    if url:
        return found | {"url": url}
    data = part.get("file_data")
    source = _source(data)
    # Both are sent: the data as they are, and as a URL of data.
    return found | (source if "data" in source else {"data": data})


def _source(url: object) -> dict[str, Any]:
    """A URL as it is, or the data that it holds."""
    match = DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        return {"url": url}
    return {"media_type": match[1], "data": match[2]}
