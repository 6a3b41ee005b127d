"""Reading a request's body: bounded in size, in time, in memory, and its JSON in depth."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from runner.api.exchange import Receive
from runner.api.problems import (
    BODY_TIMEOUT,
    MALFORMED_JSON,
    NOT_JSON,
    TOO_LARGE,
    RequestError,
    wrong_field,
)

LATE = "the body is late"


class ClientLeft(Exception):
    """The client closed the connection."""


async def read_body(receive: Receive, *, max_bytes: int, timeout_s: float) -> bytes:
    """The whole body.

    A body that is too large is read to its end, though not kept: an answer
    sent while it still arrives would be lost with the connection (and, over
    HTTP/2, would break its sibling turns too).

    Raises RequestError for 408 and 413, ClientLeft.
    """
    # Not a list of chunks: a chunk of two bytes would weigh fifty.
    body = bytearray()
    size = 0
    task = asyncio.current_task()
    assert task is not None
    # As asyncio.timeout does it, at a third of its cost. Not wait_for: on Python 3.11 that
    # loses a cancellation that comes with the result.
    timer = asyncio.get_running_loop().call_later(timeout_s, task.cancel, LATE)
    try:
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientLeft
            chunk = event.get("body", b"")
            more = event.get("more_body", False)
            size += len(chunk)
            if size <= max_bytes:
                body += chunk
            else:
                body.clear()
    except asyncio.CancelledError as error:
        if error.args != (LATE,) or task.uncancel():
            raise  # Somebody else ends the request.
        detail = f"Send the whole body within {timeout_s:g} s."
        raise RequestError(BODY_TIMEOUT, detail, (("connection", "close"),)) from error
    finally:
        timer.cancel()
    if size > max_bytes:
        raise RequestError(TOO_LARGE, f"The body has {size} bytes; {max_bytes} are allowed.")
    return bytes(body)


async def until_left(receive: Receive) -> None:
    """Wait until the client has closed the connection; the body was read before."""
    while (await receive())["type"] != "http.disconnect":
        pass


def check_media_type(value: bytes) -> None:
    media_type = value.partition(b";")[0].strip().lower()
    if media_type != b"application/json" and not media_type.endswith(b"+json"):
        raise RequestError(NOT_JSON, "Send JSON, with Content-Type: application/json.")


def parse_object(body: bytes, max_depth: int) -> dict[str, Any]:
    try:
        content: object = _DECODER.decode(body.decode("utf-8"))
        if not isinstance(content, dict):
            raise wrong_field("", 'Send a JSON object: {"message": "..."}.')
        fields = cast("dict[str, Any]", content)
        # Counting the brackets is enough for all but the oddest bodies, and costs nothing.
        if body.count(b"{") + body.count(b"[") > max_depth and _is_deeper(fields, max_depth):
            raise RecursionError
    except RecursionError as error:
        raise RequestError(MALFORMED_JSON, f"JSON may be {max_depth} levels deep.") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError and our own two.
        raise RequestError(MALFORMED_JSON, f"Send one JSON object in UTF-8: {error}.") from error
    return fields


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
