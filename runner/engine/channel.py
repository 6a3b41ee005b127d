"""What processes tell each other, over NOTIFY: in order, and lost where nobody listens.

So nothing depends on it but how soon somebody knows: who has missed something asks the tables.
A message of more bytes than a NOTIFY may have goes in parts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any

import psycopg
import structlog

from runner import tasks

EVERYBODY = "turnline"
JOBS = "turnline_jobs"

PART = 7_000
"""Characters, each of one byte, of a part: a NOTIFY takes less than 8,000 bytes."""

ALIVE_S = 1.0
"""A connection on which nothing comes is asked so often if it is there."""

AGAIN_S = 0.5

CLOSE_S = 0.15

Message = dict[str, Any]

log = structlog.get_logger(__name__)


class Channel:
    """Sends to all processes or to one, and hears what they send.

    own      the name of this process, by which others send to it alone.
    hear     is given each message.
    woken    is called when a turn may be there to be fetched.
    missed   is called when messages may have been lost, as the connection was.
    """

    def __init__(
        self,
        conninfo: str,
        own: str,
        hear: Callable[[Message], object],
        woken: Callable[[], object],
        missed: Callable[[], Awaitable[object]],
    ) -> None:
        self._conninfo = conninfo
        self._own = own
        self._hear = hear
        self._woken = woken
        self._missed = missed
        self._to_send: asyncio.Queue[tuple[str, Message]] = asyncio.Queue()
        self._unsent: list[tuple[str, Message]] = []
        self._parts: dict[str, list[str]] = {}
        self._ids = count()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Listen, before anything is sent. Raises psycopg.Error."""
        listening = await self._listen()
        self._tasks = [
            tasks.spawn(self._listen_for_ever(listening), "listening"),
            tasks.spawn(self._send_for_ever(), "sending"),
        ]

    async def close(self, last: Message) -> None:
        """Let go, once this is sent, as far as that can be done soon."""
        self.send(last)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._to_send.join()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []

    def send(self, message: Message, to: str | None = None) -> None:
        """Have it sent to this process, or to all of them, this one too."""
        self._to_send.put_nowait((EVERYBODY if to is None else _channel(to), message))

    # Sending.

    async def _send_for_ever(self) -> None:
        while True:
            with suppress(psycopg.Error, OSError):
                async with await self._connect() as connection:
                    await self._send_over(connection)
            await asyncio.sleep(AGAIN_S)

    async def _send_over(self, connection: psycopg.AsyncConnection[Any]) -> None:
        sql = "SELECT pg_notify(c, p) FROM unnest(%s::text[], %s::text[]) AS t(c, p)"
        while True:
            batch = self._unsent or [await self._to_send.get()]
            self._unsent = []
            while not self._to_send.empty():
                batch.append(self._to_send.get_nowait())
            payloads = [(to, part) for to, message in batch for part in self._encoded(message)]
            try:
                columns = [list(column) for column in zip(*payloads, strict=True)]
                await connection.execute(sql, columns)
            finally:
                if connection.closed:  # As it may be found to be only now, after a long rest.
                    self._unsent = batch
                else:
                    for _ in batch:
                        self._to_send.task_done()

    def _encoded(self, message: Message) -> list[str]:
        text = json.dumps(message, separators=(",", ":"))
        if len(text) <= PART:
            return [text]
        parts = [text[at : at + PART] for at in range(0, len(text), PART)]
        name = f"{self._own}.{next(self._ids)}"
        return [f"{name} {n} {len(parts)} {part}" for n, part in enumerate(parts, 1)]

    # Hearing.

    async def _listen_for_ever(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            with suppress(psycopg.Error, OSError):
                async with connection:
                    await self._hear_over(connection)
            connection = await self._listen_again()
            self._parts.clear()
            self._woken()
            await self._missed()

    async def _listen_again(self) -> psycopg.AsyncConnection[Any]:
        while True:
            try:
                return await self._listen()
            except (psycopg.Error, OSError):
                await asyncio.sleep(AGAIN_S)

    async def _listen(self) -> psycopg.AsyncConnection[Any]:
        connection = await self._connect()
        for channel in (EVERYBODY, JOBS, _channel(self._own)):
            listen: Any = f'LISTEN "{channel}"'  # A LiteralString there.
            await connection.execute(listen)
        return connection

    async def _hear_over(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            async for notify in connection.notifies(timeout=ALIVE_S):
                try:
                    self._take(notify.channel, notify.payload)
                except Exception as fault:
                    log.error("what another process sent was not understood", exc_info=fault)
            await connection.execute("SELECT 1")

    def _take(self, channel: str, payload: str) -> None:
        if channel == JOBS:
            self._woken()
        elif payload.startswith("{"):
            self._hear(json.loads(payload))
        else:
            name, number, total, part = payload.split(" ", 3)
            parts = self._parts.setdefault(name, [])
            if int(number) != len(parts) + 1:
                del self._parts[name]  # One was lost, and with it the message.
                return
            parts.append(part)
            if len(parts) == int(total):
                del self._parts[name]
                self._hear(json.loads("".join(parts)))

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)


def _channel(process: str) -> str:
    return f"{EVERYBODY}_{process}"
