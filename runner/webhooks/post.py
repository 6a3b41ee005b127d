"""One POST over HTTP/1.1, to an address that was looked at before; redirects are not followed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import h11

from runner import __version__
from runner.settings import WebhookSettings
from runner.webhooks.address import Target, resolve

LIMIT_S = 20.0
"""From the name to the head of the answer."""

CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Sent:
    """What the receiver answered."""

    status: int
    retry_after: str


async def send(
    target: Target, settings: WebhookSettings, headers: Mapping[str, str], body: bytes
) -> Sent:
    """Raises NotAllowed, OSError, TimeoutError, ValueError, h11.ProtocolError."""
    async with asyncio.timeout(LIMIT_S):
        address = await resolve(target, settings)
        context = _tls() if target.is_secure else None
        name = target.host if target.is_secure else None
        reader, writer = await asyncio.open_connection(
            address, target.port, ssl=context, server_hostname=name
        )
        try:
            connection = h11.Connection(h11.CLIENT)
            writer.write(_request(connection, target, headers, body))
            await writer.drain()
            return await _answer(connection, reader)
        finally:
            # What the answer says besides is not read, so that nobody can send for ever.
            writer.transport.abort()


def _request(
    connection: h11.Connection, target: Target, headers: Mapping[str, str], body: bytes
) -> bytes:
    head = {
        "host": target.authority,
        "user-agent": f"Turnline/{__version__}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **headers,
    }
    request = h11.Request(method="POST", target=target.path, headers=[*head.items()])
    parts = request, h11.Data(body), h11.EndOfMessage()
    return b"".join(connection.send(part) or b"" for part in parts)


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> Sent:
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.Response):
            retry_after = dict(event.headers).get(b"retry-after", b"")
            return Sent(event.status_code, retry_after.decode("latin1"))
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionError("closed without an answer")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
