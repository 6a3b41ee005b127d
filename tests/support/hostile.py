"""Hostile clients, in a process of their own: `python -m tests.support.hostile PORT SECONDS TOKEN`.

Each does one kind of harm again and again. TOKEN is that of the caller whose turns are the
flood; the others have none, or a wrong one. Prints how often each was done.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
STALL_S = 3.0
"""How long a client that stalls holds its connection, unless the server closes it before."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Harm = Callable[["Hostile", Streams], Awaitable[None]]


class Hostile:
    """All hostile clients of one server."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.token = token
        self.done: Counter[str] = Counter()
        self.random = random.Random(port)

    async def run(self, seconds: float) -> None:
        """Every kind, with several clients each, for that long."""
        tasks = [
            asyncio.create_task(self._repeat(harm, pause_s))
            for harm, clients, pause_s in HARMS
            for _ in range(clients)
        ]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _repeat(self, harm: Harm, pause_s: float) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(pause_s)
                continue
            try:
                await harm(self, (reader, writer))
            except (OSError, asyncio.IncompleteReadError):
                pass  # The server has closed it, as it should.
            finally:
                writer.transport.abort()
            self.done[harm.__name__] += 1
            await asyncio.sleep(pause_s * self.random.uniform(0.5, 1.5))

    def chat(self, content: object, *headers: str) -> bytes:
        body = json.dumps(content).encode()
        lines = [
            "POST /chat HTTP/1.1", "Host: localhost", "Content-Type: application/json",
            f"Content-Length: {len(body)}", *headers,
        ]  # fmt: skip
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def stalled(reader: asyncio.StreamReader) -> None:
    """Until the server closes, or for a while."""
    try:
        async with asyncio.timeout(STALL_S):
            while await reader.read(65_536):
                pass
    except TimeoutError:
        pass


async def slow(hostile: Hostile, streams: Streams) -> None:
    """A head that comes byte by byte."""
    for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: b":
        streams[1].write(bytes([byte]))
        await streams[1].drain()
        await asyncio.sleep(0.2)
    await stalled(streams[0])


async def upgrading(hostile: Hostile, streams: Streams) -> None:
    """A WebSocket, with a key or without."""
    key = hostile.random.choice((KEY, ""))
    path = hostile.random.choice(("/", "/chat", "/turns/x/events"))
    streams[1].write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{key}\r\n".encode())
    await stalled(streams[0])


async def unfinished(hostile: Hostile, streams: Streams) -> None:
    """A body of a megabyte whose last byte never comes; some with a token."""
    token = hostile.random.choice(("", f"Authorization: Bearer {hostile.token}\r\n"))
    head = f"POST /chat HTTP/1.1\r\nHost: localhost\r\n{token}Content-Length: 1000000\r\n\r\n"
    streams[1].write(head.encode() + b"x" * 999_999)
    await stalled(streams[0])


async def flooding(hostile: Hostile, streams: Streams) -> None:
    """Turns in the background, all of them urgent, in many conversations."""
    reader, writer = streams
    for _ in range(20):
        conversation = f"flood-{hostile.random.randrange(500)}"
        content = {"message": "sleep 0.1", "conversation_id": conversation}
        wishes = "Prefer: respond-async", "Priority: u=0", f"Authorization: Bearer {hostile.token}"
        writer.write(hostile.chat(content, *wishes))
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split()[0]
        await reader.readexactly(int(length))
        await asyncio.sleep(0.05)


async def wrong_token(hostile: Hostile, streams: Streams) -> None:
    """A stranger who guesses."""
    guess = f"Authorization: Bearer {hostile.random.randrange(10**9)}"
    streams[1].write(hostile.chat({"message": "let me in"}, guess))
    await stalled(streams[0])


async def garbage(hostile: Hostile, streams: Streams) -> None:
    """Bytes that are nearly HTTP, or not at all."""
    heads = (
        b"GET ?x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x..\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        hostile.random.randbytes(200) + b"\r\n\r\n",
    )
    streams[1].write(hostile.random.choice(heads))
    await stalled(streams[0])


async def leaving(hostile: Hostile, streams: Streams) -> None:
    """A turn whose client resets the connection at some moment."""
    wish = f"Authorization: Bearer {hostile.token}"
    accept = hostile.random.choice(("Accept: text/event-stream", "Accept: application/json"))
    content = {"message": "sleep 0.2", "conversation_id": f"left-{hostile.random.randrange(50)}"}
    streams[1].write(hostile.chat(content, wish, accept))
    await asyncio.sleep(hostile.random.choice((0.0, 0.001, 0.05, 0.3)))
    connection: socket.socket = streams[1].get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


HARMS: tuple[tuple[Harm, int, float], ...] = (
    (slow, 20, 1.0),
    (upgrading, 20, 1.0),
    (unfinished, 6, 2.0),
    (flooding, 2, 0.5),
    (wrong_token, 4, 0.2),
    (garbage, 4, 0.2),
    (leaving, 3, 0.3),
)
"""What is done, by how many clients, and how long each rests in between, in seconds."""


def main() -> None:
    port, seconds, token = sys.argv[1:]
    hostile = Hostile(int(port), token)
    asyncio.run(hostile.run(float(seconds)))
    print(json.dumps(hostile.done))


if __name__ == "__main__":
    main()
