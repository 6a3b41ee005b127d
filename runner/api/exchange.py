"""What a handler takes and what it gives: a request, and an answer that can be sent."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# ASGI.
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Headers = tuple[tuple[str, str], ...]
"""Response headers: names in lower case, and values."""

Response = Callable[[Send, Receive], Awaitable[None]]
"""Sends itself. Raises ClientLeft where its client takes nothing any more."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose body has been read and whose caller is known.

    headers  by their names in lower case; of one that is repeated, the last.
    params   the parts of the path that the route names.
    query    the parameters that the route takes, by their names.
    caller   the caller's name, "" for one without.
    receive  tells when the client leaves, and nothing else any more.
    """

    scope: Scope
    headers: Mapping[bytes, bytes]
    body: bytes
    caller: str
    receive: Receive
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    headers: Headers = ()
    body: bytes = b""

    async def __call__(self, send: Send, receive: Receive) -> None:
        headers = [(name.encode(), value.encode()) for name, value in self.headers]
        headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""Made once: `json.dumps` with options of its own makes one for each call."""


def to_json(content: object) -> bytes:
    return _ENCODER.encode(content).encode()


def json_answer(content: Mapping[str, object], status: int = 200, headers: Headers = ()) -> Answer:
    return Answer(status, (("content-type", "application/json"), *headers), to_json(content))
