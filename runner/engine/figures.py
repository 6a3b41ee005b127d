"""The figures of all processes on one Postgres, read while somebody looks at them.

Whoever asks is told the last reading, soon: Postgres may be slow, or away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from runner import tasks
from runner.store.base import StoreUnavailable

if TYPE_CHECKING:
    from runner.store.postgres.connection import Connection

EVERY_S = 1.0
"""At most one reading in so many seconds."""

PATIENCE_S = 0.2
"""Who asks after a while waits so long at most for a new reading, and is told the old one then."""

LOOKED_AT_S = 60.0
"""Since somebody last asked: until then it is read on, so that a scraper is told what is new."""


@dataclass(frozen=True, slots=True)
class Process:
    """One that takes part.

    name        its machine and port.
    slots       turns that it runs at once, at most.
    running     turns that it runs.
    seen_s_ago  seconds since it last said that it lives.
    """

    id: str
    name: str
    slots: int
    running: int
    seen_s_ago: float


@dataclass(frozen=True, slots=True)
class System:
    """All of them, and the turns of all, at one instant."""

    processes: tuple[Process, ...]
    waiting: int
    running: int
    oldest_wait_s: float


@dataclass(frozen=True, slots=True)
class Reading:
    """age_s: seconds since it was made."""

    system: System
    age_s: float


class Figures:
    """Those of the system, and which process of it this is.

    own           its id.
    read          reads them. May raise StoreUnavailable.
    is_reachable  whether Postgres is, as far as is known.
    """

    def __init__(
        self, own: str, read: Callable[[], Awaitable[System]], is_reachable: Callable[[], bool]
    ) -> None:
        self.own = own
        self._read = read
        self._is_reachable = is_reachable
        self._system: System | None = None
        self._read_at = self._asked_at = -inf
        self._reading: asyncio.Task[None] | None = None
        self._is_new = asyncio.Event()

    async def freshened(self) -> None:
        """Wait for a reading that is not old, for PATIENCE_S at most."""
        if asyncio.get_running_loop().time() < self._read_at + 2 * EVERY_S:
            return
        self._is_new.clear()
        self.latest()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._is_new.wait()

    def latest(self) -> Reading | None:
        """The last reading; None while Postgres cannot be reached."""
        now = self._asked_at = asyncio.get_running_loop().time()
        if self._reading is None or self._reading.done():
            self._reading = tasks.spawn(self._read_on(), "figures of the system")
        if self._system is None or not self._is_reachable():
            return None
        return Reading(self._system, max(now - self._read_at, 0.0))

    async def open(self) -> None:
        """Have a first reading. Raises StoreUnavailable."""
        await self._read_once()

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    async def _read_on(self) -> None:
        clock = asyncio.get_running_loop().time
        while clock() < self._asked_at + LOOKED_AT_S:
            await asyncio.sleep(self._read_at + EVERY_S - clock())
            try:
                await self._read_once()
            except StoreUnavailable:
                self._system, self._read_at = None, clock()

    async def _read_once(self) -> None:
        # Not later than it was so: what is read is as old as the question.
        asked_at = asyncio.get_running_loop().time()
        self._system = await self._read()
        self._read_at = asked_at
        self._is_new.set()


def read(db: Connection, now: float) -> System:
    """`now` in seconds since 1970, by the server's clock."""
    turns: Any = db.execute(TURNS, {"now": now}).fetchone()
    processes = tuple(Process(**row) for row in db.execute(PROCESSES))
    return System(processes, **turns)


LIVING = "turnline_line AS l JOIN turnline_accepted AS a ON a.id = l.turn_id AND a.state IS NULL"
"""A turn may have ended whose agent has not stopped: it is in the line, and is not counted."""

TURNS = f"""
    SELECT count(*) FILTER (WHERE l.runner IS NULL) AS waiting, count(l.runner) AS running,
    greatest(%(now)s - min(a.accepted_at) FILTER (WHERE l.runner IS NULL), 0) AS oldest_wait_s
    FROM {LIVING}
"""

PROCESSES = f"""
    SELECT p.id, p.name, p.slots,
    (SELECT count(*) FROM {LIVING} WHERE l.runner = p.id) AS running,
    extract(epoch FROM greatest(now() - p.seen_at, '0'))::float8 AS seen_s_ago
    FROM turnline_processes AS p ORDER BY p.started_at, p.id
"""
