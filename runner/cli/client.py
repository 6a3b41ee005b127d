"""A client of a running server: one message and its reply, over as many connections as it takes.

Nothing is asked twice: after a lost connection the turn's stream of events is resumed, or
the message is sent again under the same idempotency key. Standard library only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

CONNECT_S = 10.0
SILENCE_S = 60.0
"""A server that says nothing for so long, not even that it lives, is taken for lost."""

RECONNECT_S = 60.0
"""After a connection broke."""

PAUSE_S = 0.5

Content = dict[str, Any]
Event = tuple[str, Content]
"""A kind and a content, as in the server's streams (queued, started, delta, done ...). `lost`
is ours, for a connection that broke; `failed` may have `retry_after_s`."""


FORGOTTEN = {
    "title": "The server does not know this turn any more",
    "detail": "It was restarted without a store that lasts, or the turn ended long ago. "
    "Whether it was answered is unknown.",
    "outcome": "unknown",
}
"""A turn that the server had accepted: what its own document says of it cannot be true."""


def is_http_url(url: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    return False


class Exchange:
    """One message, or answers to what an agent requested, on its way to a reply.

    asked  the fields of the body that are not the conversation's id.
    """

    def __init__(self, url: str, token: str | None, conversation: str, asked: Content) -> None:
        self._url = urlsplit(url)
        self._token = token
        self._body = json.dumps({"conversation_id": conversation, **asked})
        self._key = uuid4().hex
        self._turn = ""
        self._last_id = ""
        self._sent = False

    @property
    def turn_id(self) -> str:
        """Its name, once the server has given it one; or ""."""
        return self._turn.rpartition("/")[2]

    def events(self) -> Iterator[Event]:
        """The events to the turn's end; OSError or HTTPException where no server is reached."""
        lost_at: float | None = None
        while True:
            try:
                for kind, content in self._read():
                    lost_at = None
                    yield kind, content
                    if kind in ("done", "input_required", "failed"):
                        return
                raise ConnectionResetError("the connection was closed in the middle")
            except (OSError, HTTPException):
                lost_at = lost_at or time.monotonic()
                if not self._sent or time.monotonic() - lost_at > RECONNECT_S:
                    raise
                yield "lost", {}
                time.sleep(PAUSE_S)

    def cancel(self) -> Content:
        """Cancel the turn; what is known of it afterwards, nothing where it has no name yet."""
        if not self._turn:
            return {}
        with self._ask("DELETE", self._turn, silence_s=CONNECT_S) as response:
            return _content(response)

    def _read(self) -> Iterator[Event]:
        if self._turn:
            asked = self._ask("GET", f"{self._turn}/events", last_event_id=self._last_id)
        else:
            asked = self._ask(
                "POST",
                "/chat",
                self._body,
                accept="text/event-stream, application/json",
                content_type="application/json",
                idempotency_key=self._key,
                # It is ours to cancel; a broken connection must not cost the place in the line.
                prefer="on-disconnect=continue",
            )
        with asked as response:
            if response.headers.get_content_type() == "text/event-stream":
                self._turn = response.headers.get("Location", self._turn)
                yield from self._parse(response)
            elif self._turn and response.status == 404:
                kind, content = _whole(response)
                yield kind, content | FORGOTTEN
            else:
                yield _whole(response)

    @contextmanager
    def _ask(
        self, method: str, path: str, body: str = "", silence_s: float = SILENCE_S, **headers: str
    ) -> Generator[HTTPResponse]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._token:
            named["Authorization"] = f"Bearer {self._token}"
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        host, base = self._url.hostname or "", self._url.path.rstrip("/")
        with closing(kind(host, self._url.port, timeout=CONNECT_S)) as connection:
            connection.request(method, base + path, body.encode(), named)
            self._sent = True
            connection.sock.settimeout(silence_s)
            yield connection.getresponse()

    def _parse(self, response: HTTPResponse) -> Iterator[Event]:
        fields: dict[str, str] = {}
        while line := response.readline().decode():
            name, _, value = line.rstrip("\r\n").partition(":")
            if line.strip():
                fields[name] = value.removeprefix(" ")
            elif "data" in fields:
                self._last_id = fields.get("id", self._last_id)
                yield fields.get("event", ""), json.loads(fields["data"])
                fields = {}


def _whole(response: HTTPResponse) -> Event:
    """An answer that is no stream: a refusal, or a reply from a server without streams."""
    if response.status == 200:
        content = _content(response)
        return ("input_required" if "requests" in content else "done"), content
    after_s = response.headers.get("Retry-After")
    told = {"status": response.status, "title": response.reason, "retry_after_s": after_s}
    return "failed", told | _content(response)


def _content(response: HTTPResponse) -> Content:
    with suppress(ValueError):
        content: object = json.loads(response.read())
        if isinstance(content, dict):
            return cast("Content", content)
    return {}
