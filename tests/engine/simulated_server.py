"""A Postgres in memory, and how processes in virtual time reach it.

A link takes its time, and may be cut; then what was on its way is lost, and what was asked was
done or not.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Self, TypeVar

import psycopg

from runner.engine.channel import EVERYBODY, JOBS
from runner.store.base import AcceptedTurn
from runner.store.memory import MemoryStore
from tests.engine.simulated_line import Line

T = TypeVar("T")

PAUSES_S = (0.0, 0.0, 0.005, 0.05, 0.3)
SLOW_S = (0.0, 0.05, 0.8)
DELAYS_S = (0.0, 0.0, 0.01, 0.1, 0.6)


@dataclass(frozen=True, slots=True)
class Notify:
    channel: str
    payload: str


class Server:
    """What all processes share: the line, what is kept, and who listens."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.line = Line(now, moved=lambda: self.notify(JOBS, ""))
        self.kept = MemoryStore()
        self.accepted: dict[str, AcceptedTurn] = vars(self.kept)["_accepted"]
        self.connections: list[Connection] = []
        self.taken: list[str] = []
        """Turns that were taken from a process that was silent."""

    def notify(self, channel: str, payload: str) -> None:
        for connection in self.connections:
            if channel in connection.channels:
                connection.bring(Notify(channel, payload))

    def tell(self, kind: str, turn_id: str, conversation: str, **more: Any) -> None:
        message = {"k": kind, "t": turn_id, "c": conversation, **more}
        self.notify(EVERYBODY, json.dumps(message))


class Link:
    """How one process reaches the server. All of it happens in the loop of that process."""

    def __init__(self, server: Server, rng: Random, *, may_fail: bool = False) -> None:
        self.server = server
        self.rng = rng
        self.may_fail = may_fail
        self._pauses_s = SLOW_S if may_fail and rng.random() < 0.3 else PAUSES_S
        self.is_cut = False
        self.cuts = 0
        self.last_heard_s = 0.0

    def cut(self) -> None:
        self.is_cut = True
        self.cuts += 1
        for connection in [one for one in self.server.connections if one.link is self]:
            connection.break_off()

    async def ask(self, step: Callable[[], T]) -> T:
        """Raises psycopg.OperationalError where nothing was done, InDoubt where that is unsure."""
        cuts = self.cuts
        await self._pause()
        if self.is_cut or self.cuts != cuts or (self.may_fail and self.rng.random() < 0.01):
            raise psycopg.OperationalError("the connection is lost")
        done = step()
        self.last_heard_s = self.server.line.now()
        await self._pause()
        if self.cuts != cuts or (self.may_fail and self.rng.random() < 0.01):
            raise InDoubt("the connection was lost before an answer came")
        return done

    async def _pause(self) -> None:
        if pause_s := self.rng.choice(self._pauses_s):
            await asyncio.sleep(pause_s)


class InDoubt(psycopg.OperationalError):
    """It may have been done."""


class Connection:
    """One that listens: `Channel` uses it as a psycopg.AsyncConnection."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.channels: set[str] = set()
        self._came: deque[Notify] = deque()
        self._on_their_way: deque[Notify] = deque()
        self._last_at = 0.0
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._is_broken = False
        link.server.connections.append(self)

    @property
    def closed(self) -> bool:
        return self._is_broken

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.break_off()

    def break_off(self) -> None:
        if not self._is_broken:
            self._is_broken = True
            self.link.server.connections.remove(self)
            self._on_their_way.clear()
            self._news.set()

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        def step() -> None:
            if sql.startswith("LISTEN"):
                self.channels.add(sql.partition('"')[2].rstrip('"'))
            elif sql.startswith("SELECT pg_notify"):
                for channel, payload in zip(*values, strict=True):
                    self.link.server.notify(channel, payload)
            else:
                assert sql == "SELECT 1", sql

        if self._is_broken:
            raise psycopg.OperationalError("the connection is closed")
        await self.link.ask(step)

    def bring(self, notify: Notify) -> None:
        """It comes after a while, in order, and at times twice."""
        for _ in range(2 if self.link.may_fail and self.link.rng.random() < 0.05 else 1):
            self._on_their_way.append(notify)
            at = self.link.server.line.now() + self.link.rng.choice(DELAYS_S)
            self._last_at = max(at, self._last_at)
            self._loop.call_at(self._last_at, self._arrive)

    def _arrive(self) -> None:
        if self._on_their_way:
            self._came.append(self._on_their_way.popleft())
            self._news.set()

    async def notifies(self, timeout: float) -> AsyncIterator[Notify]:
        ends_at = asyncio.get_running_loop().time() + timeout
        while not self._is_broken:
            while self._came:
                yield self._came.popleft()
            self._news.clear()
            try:
                async with asyncio.timeout_at(ends_at):
                    await self._news.wait()
            except TimeoutError:
                return
        raise psycopg.OperationalError("the connection is lost")
