"""Keep-alive clients that cost little themselves: each asks one request after the other."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from functools import partial

BODY_FOLLOWS = b"\r\n\r\n"
LAST_CHUNK = b"\r\n0\r\n\r\n"


def request(message: str, conversation: str, path: str = "/chat", streamed: bool = False) -> bytes:
    accept = "text/event-stream" if streamed else "application/json"
    return post(path, {"message": message, "conversation_id": conversation}, accept=accept)


def post(path: str, document: object, **headers: str) -> bytes:
    """A request with this document as its body; `_` in the name of a header is `-`."""
    body = json.dumps(document)
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"{more}content-length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Client(asyncio.Protocol):
    """One connection. `times` are the seconds that each answer took, `answer` is the last."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.times: list[float] = []
        self.answer = b""
        self.done = asyncio.get_running_loop().create_future()
        self._left = iter(requests)
        self._received = bytearray()
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask_next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if _is_complete(self._received):
            self.times.append(time.perf_counter() - self._began)
            self.answer = bytes(self._received)
            if self.answer.startswith(b"HTTP/1.1 2"):
                self._ask_next()
            else:
                self._end(RuntimeError(self.answer.decode()))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionError("the server closed the connection"))

    def _ask_next(self) -> None:
        self._received.clear()
        asked = next(self._left, None)
        if asked is None:
            self._end(None)
        else:
            self._began = time.perf_counter()
            self._transport.write(asked)

    def _end(self, error: Exception | None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)
            self._transport.close()


def _is_complete(received: bytearray) -> bool:
    head, found, body = received.partition(BODY_FOLLOWS)
    if not found:
        return False
    _, found, length = head.lower().partition(b"content-length: ")
    if found:
        return len(body) >= int(length.partition(b"\r\n")[0])
    # Chunked. Nothing is pipelined, so what ends like the last chunk is the last chunk.
    return received.endswith(LAST_CHUNK)


def _given(client: Client) -> Client:
    return client


async def drive(port: int, requests: Sequence[Sequence[bytes]]) -> list[Client]:
    """A connection for each sequence of requests, all at the same time."""
    loop = asyncio.get_running_loop()
    clients = [Client(each) for each in requests]
    for client in clients:
        await loop.create_connection(partial(_given, client), "127.0.0.1", port)
    async with asyncio.timeout(900):
        await asyncio.gather(*(client.done for client in clients))
    return clients
