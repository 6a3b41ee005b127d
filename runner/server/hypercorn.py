"""Hypercorn 0.18 carries HTTP, with six things mended. The only module that knows it.

1. A connection that its client has closed is let go at once, not after the idle limit.
2. Requests that a client pipelined before it left are dropped, and
3. a reader that waits to take the next of them is not left behind for ever;
4. HTTP/2 is never spoken: its connections have no idle limit.
5. An offer of WebSocket is a plain request: its connections have none either.
6. What is not HTTP is answered with a problem document.

There is no public way in, so pyproject.toml pins Hypercorn. test_slow_clients.py and
test_held_connections.py in tests/process fail where a mend no longer takes effect.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from typing import Any, NoReturn, cast

import h11
from hypercorn.asyncio import run as hypercorn_run
from hypercorn.asyncio import serve as hypercorn_serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config, Sockets
from hypercorn.events import Closed, Event, Updated
from hypercorn.protocol import h11 as hypercorn_h11
from hypercorn.protocol.events import Body, EndBody, Response
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

from runner.server import CLOSE_S
from runner.server.listener import BACKLOG, MALFORMED, Listener
from runner.server.tls import context_of
from runner.settings import ServerSettings

new_event_loop = asyncio.new_event_loop


async def serve(
    app: Any, settings: ServerSettings, listener: Listener, ended: asyncio.Event
) -> None:
    await hypercorn_serve(app, _config(settings, listener), shutdown_trigger=ended.wait)


class _ClientLeft(Exception):
    """The requests that it had pipelined are nobody's any more."""


class _PromptServer(TCPServer):
    async def _read_data(self) -> None:
        try:
            await super()._read_data()
        except _ClientLeft:
            await self.protocol.handle(Closed())
        await self.idle_task.stop()

    async def _close(self) -> None:
        with suppress(OSError):  # A reader that took nothing for so long that the kernel gave up.
            await super()._close()

    async def protocol_send(self, event: Event) -> None:
        is_next_request = isinstance(event, Updated) and not event.idle
        if is_next_request and (self.reader.at_eof() or self.writer.is_closing()):
            raise _ClientLeft
        await super().protocol_send(event)


_handle = H11Protocol.handle


async def _let_go_of_the_reader(self: H11Protocol, event: Event) -> None:
    if isinstance(event, Closed):
        self.connection.next_event = _client_left  # type: ignore[method-assign]
        await self.can_read.set()
    await _handle(self, event)


def _client_left() -> NoReturn:
    raise _ClientLeft


async def _stay_with_http_1(self: H11Protocol, event: object) -> None:
    """In place of the check that changes to HTTP/2."""


async def _send_problem(self: H11Protocol, status_code: int) -> None:
    headers = [(name.encode(), value.encode()) for name, value in MALFORMED.headers]
    headers += [(b"content-length", b"%d" % len(MALFORMED.body)), (b"connection", b"close")]
    await self.stream_send(Response(STREAM_ID, headers, MALFORMED.status))
    await self.stream_send(Body(STREAM_ID, MALFORMED.body))
    await self.stream_send(EndBody(STREAM_ID))


def _as_it_is(connection: h11.Connection) -> h11.Connection:
    """In place of the connection that passes a WebSocket's bytes through."""
    return connection


hypercorn_run.TCPServer = _PromptServer  # type: ignore[attr-defined]
H11Protocol.handle = _let_go_of_the_reader  # type: ignore[method-assign]
H11Protocol._check_protocol = _stay_with_http_1  # type: ignore[method-assign]
H11Protocol._send_error_response = _send_problem  # type: ignore[method-assign]
hypercorn_h11.WSStream = HTTPStream  # type: ignore[assignment, attr-defined]
hypercorn_h11.H11WSConnection = _as_it_is  # type: ignore[assignment, misc]


def _config(settings: ServerSettings, listener: Listener) -> Config:
    config = Config()
    if (context := context_of(settings)) is None:
        sockets = Sockets([], [listener], [])
    else:
        sockets = Sockets([listener], [], [])
        config.certfile = config.keyfile = settings.certfile  # So that it asks for the context.
        config.create_ssl_context = lambda: context  # type: ignore[method-assign]
        config.ssl_handshake_timeout = settings.header_timeout_s
    config.create_sockets = lambda: sockets  # type: ignore[method-assign]
    config.alpn_protocols = ["http/1.1"]
    config.accesslog = None
    # Not "-", whose handler would print everything twice.
    config.errorlog = logging.getLogger("hypercorn.error")
    config.errorlog.setLevel(logging.WARNING)
    config.backlog = BACKLOG
    config.graceful_timeout = cast(Any, CLOSE_S)
    # A connection counts as idle until a request's headers are complete: this ends slow ones too.
    config.keep_alive_timeout = cast(Any, settings.header_timeout_s)
    config.keep_alive_max_requests = sys.maxsize
    config.include_server_header = False
    return config
