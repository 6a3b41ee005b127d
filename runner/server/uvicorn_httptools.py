"""uvicorn's protocol over httptools, mended as `uvicorn_protocols.py` says, and as follows.

- A head has a limit in bytes.
- A departure is told to the request that is being answered, not to the last one parsed.
- White space after a header's value is no part of it (RFC 9112, 5.1).
- The body after an offer to upgrade, such as curl's of h2c, belongs to its request, and what
  follows is read as the next one. To the parser all of it would be another protocol's.
- An answer without a length is not sent in chunks to HTTP/1.0; it ends with the connection.
- A target that is no path, such as `http://host/path`, comes to the app as it does over h11.
"""

from __future__ import annotations

from collections import deque
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from runner.server.uvicorn_protocols import HalfClosed, Mended

MAX_HEAD_BYTES = 65_536
MAX_PIPELINED = 32
READ_BYTES = 262_144
"""What asyncio and uvloop read at once."""


class Cycle(HalfClosed, RequestResponseCycle):
    async def send(self, message: Any) -> None:
        if self.scope["http_version"] == "1.0":
            # What uvicorn asks before it chooses chunks, and whether all of a body was sent.
            self.chunked_encoding = False
            more = message.get("more_body", False)
            self.expected_content_length = len(message.get("body", b"")) + more
        await super().send(message)


httptools_impl.RequestResponseCycle = Cycle  # type: ignore[misc]


class HttpTools(Mended, HttpToolsProtocol):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._unanswered: deque[Any] = deque()
        self._in_head = True
        self._fed = 0  # Bytes that may belong to the head that is being read.
        self._left = 0  # Bytes of a body that the parser does not read, as its head has an offer.

    def data_received(self, data: bytes) -> None:
        self._fed = self._fed + len(data) if self._in_head else len(data)
        try:
            self._feed(data)
            is_malformed = self._in_head and self._fed > MAX_HEAD_BYTES + READ_BYTES
        except httptools.HttpParserError:
            is_malformed = True
        if is_malformed:
            self.send_400_response("")

    def _feed(self, data: bytes) -> None:
        parser: Any = self.parser
        while data:
            if self._left:
                data = self._take_body(data)
                continue
            try:
                parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]

    def _take_body(self, data: bytes) -> bytes:
        """What is left of the data. To the parser an offer ends its message, body or not."""
        body, rest = data[: self._left], data[self._left :]
        self._left -= len(body)
        self.on_body(body)
        if not self._left:
            super().on_message_complete()
        return rest

    def on_message_complete(self) -> None:
        if not self._left:
            super().on_message_complete()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._fed > MAX_HEAD_BYTES:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                raise ValueError("the head is too large")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait for the answer of the first")
        target = self.url
        if not target.startswith(b"/"):
            self.url = b"/"
        super().on_headers_complete()
        if target is not self.url:
            # As h11 gives it: whole, and nothing is lost of what the edge is to judge.
            path, _, self.scope["query_string"] = target.partition(b"?")
            self.scope["path"] = unquote(path.decode("latin1"))
        self._unset_keepalive_if_required()
        self._unanswered.append(self.cycle)
        parser: Any = self.parser
        if parser.should_upgrade():
            named = dict(self.scope["headers"])
            if b"transfer-encoding" in named:
                raise ValueError("an offer to upgrade with a body in chunks")
            self._left = int(named.get(b"content-length", b"0"))
        self.flow.held = bool(self.pipeline)

    def eof_received(self) -> Any:
        if self.pipeline:  # Nobody has begun with these.
            self.pipeline.clear()
            self.cycle = self._unanswered[0]
        return super().eof_received()

    def on_response_complete(self) -> None:
        self._unanswered.popleft()
        self.flow.held = False
        super().on_response_complete()
        if self.pipeline:
            self.hold()

    def send_400_response(self, msg: str) -> None:
        if len(self._unanswered) > 1 and self.cycle.more_body:
            # The last of several is never whole, and nobody has begun with it.
            self.pipeline.popleft()
            self._unanswered.pop()
            self.cycle = self._unanswered[-1]
        super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
