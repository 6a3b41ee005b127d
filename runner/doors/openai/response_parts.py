"""The parts of a message as the responses of OpenAI have them, made into ours."""

from __future__ import annotations

import re
from mimetypes import types_map
from pathlib import PurePosixPath
from typing import Any, TypeGuard, cast

from runner.api.problems import wrong_field

DATA_URL = re.compile(r"data:([^;,]+)(?:;[^;,]+)*;base64,(.*)", re.DOTALL)
NO_FILES = "This server keeps no files: send the data itself, or a URL."
CONTENT_IS = 'A "content" is a text, or a list of parts: input_text, input_image, input_file.'


def as_parts(content: object, pointer: str) -> list[dict[str, Any]]:
    """Unchecked as to their data. Raises RequestError for parts of another kind."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not (parts := listed(content)):
        raise wrong_field(pointer, CONTENT_IS)
    return [_as_part(part, pointed(pointer, place)) for place, part in enumerate(parts)]


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
            return {"type": "text", "text": part.get("text")}
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
