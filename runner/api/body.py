"""A request's body: bounded in size, in time, in memory, and its JSON in depth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from runner.api.exchange import Receive, Response, Send
from runner.api.problems import (
    BODY_TIMEOUT,
    MALFORMED_JSON,
    NOT_JSON,
    SERVER_FULL,
    TOO_LARGE,
    RequestError,
    wrong_field,
)
from runner.settings import ServerSettings

LATE = "the body is late"

QUIET_S = 1.0
"""How long a client that was answered before its body may pause in sending the rest."""


class ClientLeft(Exception):
    """The client closed the connection."""


class Arriving:
    """A request's body on its way here.

    is_whole  its last byte has come, or it has none; so a connection may be closed.
    """

    __slots__ = ("_receive", "is_whole")

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive) -> None:
        self._receive = receive
        length = headers.get(b"content-length", b"0")
        self.is_whole = length == b"0" and b"transfer-encoding" not in headers

    async def chunk(self) -> bytes:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            raise ClientLeft
        self.is_whole = not event.get("more_body", False)
        chunk: bytes = event.get("body", b"")
        return chunk

    def answered(self, response: Response, within_s: float) -> Response:
        """The response, sent at once and ended when the body has come, which nobody keeps.

        To close a connection over bytes that were not read is to reset it, and the client
        may lose the answer. (Over HTTP/2, Hypercorn would break its sibling turns too.)
        """

        async def respond(send: Send, receive: Receive) -> None:
            async def send_and_wait(event: Any) -> None:
                if event["type"] == "http.response.body" and not event.get("more_body", False):
                    await send({**event, "more_body": True})
                    await self._discard(within_s)
                    event = {"type": "http.response.body", "body": b""}
                await send(event)

            await response(send_and_wait, receive)

        return respond

    async def _discard(self, within_s: float) -> None:
        with suppress(TimeoutError, ClientLeft):
            async with asyncio.timeout(within_s):
                while not self.is_whole:
                    async with asyncio.timeout(QUIET_S):
                        await self.chunk()


class Bodies:
    """Reads the bodies of all requests: bounded each, and all that still arrive together.

    Each caller has an equal share of the bound, of one body at least; so no flood of one
    costs another a refusal.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._share = settings.bodies_share
        self._held: dict[str, int] = {}

    async def read(self, body: Arriving, caller: str) -> bytes:
        """The whole body. Raises RequestError for 408, 413 and 503, ClientLeft."""
        # Not a list of chunks: a chunk of two bytes would weigh fifty.
        content = bytearray()
        limit_s = self._settings.body_timeout_s
        task = asyncio.current_task()
        assert task is not None
        # As asyncio.timeout does it, at a third of its cost. Not wait_for: on Python 3.11 that
        # loses a cancellation that comes with the result.
        timer = asyncio.get_running_loop().call_later(limit_s, task.cancel, LATE)
        try:
            while True:
                if chunk := await body.chunk():
                    self._add(content, chunk, caller)
                if body.is_whole:
                    return bytes(content)
        except asyncio.CancelledError as error:
            if error.args != (LATE,) or task.uncancel():
                raise  # Somebody else ends the request.
            detail = f"Send the whole body within {limit_s:g} s."
            raise RequestError(BODY_TIMEOUT, detail) from error
        finally:
            timer.cancel()
            self._let_go(caller, len(content))

    def _add(self, content: bytearray, chunk: bytes, caller: str) -> None:
        most, size = self._settings.max_body_bytes, len(chunk)
        if len(content) + size > most:
            raise RequestError(TOO_LARGE, f"The body may have {most} bytes.")
        held = self._held.get(caller, 0) + size
        if held > self._share:
            detail = "Too many of your bodies are on their way here. Try again in a moment."
            raise RequestError(SERVER_FULL, detail)
        self._held[caller] = held
        content += chunk

    def _let_go(self, caller: str, size: int) -> None:
        if held := self._held.pop(caller, 0) - size:
            self._held[caller] = held


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
