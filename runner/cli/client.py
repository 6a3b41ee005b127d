"""A client of a running server: one message and its reply, over as many connections as it takes.

Standard library only. The message is sent under an idempotency key and the reply is
read as a stream of events, so after a lost connection nothing is asked twice: where the
turn is known, its stream is resumed; where it is not, the message is sent again as the same.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

CONNECT_S = 10.0
SILENCE_S = 60.0
"""A server that says nothing for so long, not even that it lives, is taken for lost."""

RECONNECT_S = 60.0
PAUSE_S = 0.5

Content = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and how to be let in."""

    url: str
    token: str | None = None

    def connect(self) -> HTTPConnection:
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=CONNECT_S)

    def ask(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        body: str = "",
        **headers: str,
    ) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body:
            named["Content-Type"] = "application/json"
        if self.token:
            named["Authorization"] = f"Bearer {self.token}"
        base = urlsplit(self.url).path.rstrip("/")
        connection.request(method, base + path, body.encode(), named)


def is_http_url(url: str) -> bool:
    """Whether a server can be looked for there."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Event:
    """What the server says of the turn; `lost` is ours, for a connection that broke.

    The kinds are those of the server's streams: queued, position, started, delta, done
    and error. `error` has a `hint` for the person who asks.
    """

    kind: str
    content: Content
    hint: str = ""


class Exchange:
    """One message on its way to a reply."""

    def __init__(self, server: Server, conversation: str, message: str) -> None:
        self._server = server
        self._body = json.dumps({"message": message, "conversation_id": conversation})
        self._key = uuid4().hex
        self._turn = ""
        self._last_id = ""
        self._sent = False

    def events(self) -> Iterator[Event]:
        """The events to the end of the turn.

        Raises OSError or HTTPException where the server cannot be reached, or not again
        within a minute.
        """
        lost_at: float | None = None
        while True:
            try:
                for event in self._read():
                    lost_at = None
                    yield event
                    if event.kind in ("done", "error"):
                        return
                raise ConnectionResetError("the connection was closed in the middle")
            except (OSError, HTTPException):
                lost_at = lost_at or time.monotonic()
                if not self._sent or time.monotonic() - lost_at > RECONNECT_S:
                    raise
                yield Event("lost", {})
                time.sleep(PAUSE_S)

    def cancel(self) -> Content:
        """Cancel the turn; what is known of it afterwards, nothing where it has no name yet."""
        if not self._turn:
            return {}
        with closing(self._server.connect()) as connection:
            self._server.ask(connection, "DELETE", self._turn)
            return _content(connection.getresponse())

    def _read(self) -> Iterator[Event]:
        with closing(self._server.connect()) as connection:
            if self._turn:
                self._server.ask(
                    connection, "GET", f"{self._turn}/events", last_event_id=self._last_id
                )
            else:
                # It is ours to cancel; a broken connection must not cost the place in the line.
                self._server.ask(
                    connection,
                    "POST",
                    "/chat",
                    self._body,
                    accept="text/event-stream, application/json",
                    idempotency_key=self._key,
                    prefer="on-disconnect=continue",
                )
            self._sent = True
            connection.sock.settimeout(SILENCE_S)
            response = connection.getresponse()
            if response.headers.get_content_type() == "text/event-stream":
                self._turn = response.headers.get("Location", self._turn)
                yield from self._parse(response)
            else:
                yield _whole(response)

    def _parse(self, response: HTTPResponse) -> Iterator[Event]:
        fields: dict[str, str] = {}
        while line := response.readline().decode():
            name, _, value = line.rstrip("\r\n").partition(":")
            if line.strip():
                fields[name] = value.removeprefix(" ")
            elif "data" in fields:
                self._last_id = fields.get("id", self._last_id)
                content: Content = json.loads(fields["data"])
                hint = _hint(content.get("status"), content.get("retry_after_s"))
                yield Event(fields.get("event", ""), content, hint)
                fields = {}


def _whole(response: HTTPResponse) -> Event:
    """An answer that is no stream: a refusal, or a reply from a server without streams."""
    content = _content(response)
    if response.status == 200:
        return Event("done", content)
    content = {"status": response.status, "title": response.reason, **content}
    return Event("error", content, _hint(response.status, response.headers.get("Retry-After")))


def _hint(status: object, retry_after_s: object) -> str:
    if status == 401:
        return "Use runner chat --token TOKEN, or set RUNNER_TOKEN."
    return f"Try again in {retry_after_s} s." if retry_after_s else ""


def _content(response: HTTPResponse) -> Content:
    try:
        content: object = json.loads(response.read())
    except ValueError:
        return {}
    return cast("Content", content) if isinstance(content, dict) else {}
