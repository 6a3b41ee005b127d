"""The tables of one schema in a Postgres server, which may go away and come back.

Writes stand in line before a thread with one connection. Where that is lost, the line stops,
and goes on when the server is back; who waits for longer than `PATIENCE_S` is told that nothing
was kept. Reads have connections of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import psycopg
import structlog

from runner.agents.threads import Outcome
from runner.store.base import NothingKept, StoreInUse, StoreUnavailable
from runner.store.line import Write, WriteLine, fail
from runner.store.postgres import schema
from runner.store.postgres.connection import (
    Connection,
    connect,
    is_gone,
    parameters_of,
    place_of,
    store_errors,
)
from runner.store.postgres.readers import Readers
from runner.store.postgres.transactions import (
    ConnectionLost,
    InDoubt,
    Status,
    settle,
    status_of,
    transact,
)
from runner.telemetry.log import in_a_line

T = TypeVar("T")
Step = Callable[[Connection], T]

PATIENCE_S = 2.0
"""For so long a write waits for the server to come back."""

SETTLE_S = 5.0
"""For so long the server is asked what became of a COMMIT that it did not answer."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Between attempts to reach the server again; each is twice as long as the one before."""

LAST_S = 0.4
"""For so long the process waits, when it ends, for what stands in line to be written."""

LOOK_S = 5.0
"""So often the connection is looked at, for the case that nobody writes."""

log = structlog.get_logger(__name__)


class Database:
    """What the URL leads to.

    exclusive  refuse a second process on the same tables.
    """

    def __init__(self, url: str, *, exclusive: bool = True) -> None:
        """Raises psycopg.ProgrammingError for a URL that is none."""
        self.parameters = parameters_of(url)
        self._exclusive = exclusive
        self._readers = Readers(self.parameters)
        self.read_here = self._readers.read
        self._line = WriteLine("postgres", self._write, self._stopped, PATIENCE_S)
        self.write = self._line.write
        self._connection: Connection | None = None  # The one that writes.
        self._session: tuple[object, object] | None = None  # Its process id, and when it began.
        self._is_open = False
        self._reachable = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def available(self) -> bool:
        return self._connection is not None

    async def until_available(self) -> None:
        """Wait until the server can be reached, as it can where it never was away."""
        await self._reachable.wait()

    async def open(self) -> None:
        """Raises StoreInUse, StoreUnavailable."""
        if self._is_open:
            return
        # With the place, for the operator, who can mend it; a client is not told about it.
        with store_errors(place_of(self.parameters)):
            await self._line.run(self._open)
        self._is_open = self._readers.is_open = True
        self._reachable.set()
        self._look_later()

    async def close(self) -> None:
        """When what stands in line is written."""
        if self._timer is not None:
            self._timer.cancel()
        if self._is_open and self.available:
            last = self._line.put(lambda connection: None).result
            await asyncio.wait([last], timeout=LAST_S)
        self._is_open = False
        self._reachable.clear()
        self._line.drop(self._line.waiting)
        self._readers.close()
        await self._line.run(self._leave)

    async def read(self, step: Step[T]) -> T:
        """What the step gives, done in a thread; as `run`."""
        return await self.run(lambda: self.read_here(step))

    async def run(self, function: Callable[[], T]) -> T:
        """What the function gives, which reads, called in a thread.

        It waits for a server that is away as a write does, and is then called once more.
        """
        try:
            return await self._readers.run(function)
        except StoreUnavailable as error:
            if not is_gone(error.__cause__) or not await self._comes_back():
                raise
        return await self._readers.run(function)

    async def _comes_back(self) -> bool:
        try:
            await self._line.write(lambda connection: None)
        except StoreUnavailable:
            return False
        return True

    # In the event loop.

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._line.go()
        self._look_later()

    def _stopped(self) -> None:
        self._reachable.clear()
        if not self._is_open:
            self._line.drop(self._line.waiting)
            return
        log.warning("the store cannot be reached", store=place_of(self.parameters))
        if self._timer is not None:
            self._timer.cancel()
        self._try_again(FIRST_PAUSE_S)

    def _try_again(self, pause_s: float) -> None:
        ended = self._line.start(self._reach)
        ended.add_done_callback(partial(self._tried, pause_s))

    def _tried(self, pause_s: float, ended: asyncio.Future[Outcome]) -> None:
        error = ended.result()[1]
        if not self._is_open:
            return
        if error is None:
            log.info("the store is back", store=place_of(self.parameters))
            self._reachable.set()
            self._look_later()
            self._line.go_on()
            return
        if pause_s == LONGEST_PAUSE_S:
            log.warning("the store cannot be reached", reason=in_a_line(error))
        later = min(2 * pause_s, LONGEST_PAUSE_S)
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._try_again, later)

    # In the writer's thread.

    def _open(self) -> None:
        self._reach(schema.prepare)

    def _reach(self, prepare: Callable[[Connection], object] = lambda connection: None) -> None:
        """Have a connection that writes, and nobody else on the tables."""
        self._leave()
        connection = connect(self.parameters)
        try:
            if self._session is not None:
                connection.execute(END_EARLIER, self._session)
            if self._exclusive:
                schema.take(connection)
            prepare(connection)
            row = connection.execute(SESSION).fetchone()
            assert row is not None
        except BaseException:
            connection.close()
            raise
        self._session = row["pid"], row["backend_start"]
        self._connection = connection

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _write(self, writes: Sequence[Write]) -> bool:
        if self._connection is None:
            return self._cannot_write(writes)
        try:
            if writes:
                transact(self._connection, writes)
            else:
                self._connection.execute("SELECT 1")
        except InDoubt as doubt:
            self._settle(doubt, writes)
        except (ConnectionLost, psycopg.Error):
            self._leave()
            return False
        return True

    def _cannot_write(self, writes: Sequence[Write]) -> bool:
        if self._is_open:
            return False
        fail(writes, psycopg.InterfaceError("the store is closed"), NothingKept)
        return True

    def _settle(self, doubt: InDoubt, writes: Sequence[Write]) -> None:
        """Find out what a COMMIT that was not answered has kept."""
        until, pause_s = time.monotonic() + SETTLE_S, FIRST_PAUSE_S
        while True:
            try:
                self._reach()
                assert self._connection is not None
                settle(self._connection, writes, _final_status(self._connection, doubt.xid, until))
            except (psycopg.Error, StoreInUse) as error:
                self._leave()
                if time.monotonic() > until:
                    fail(writes, error, StoreUnavailable)
                    return
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                return


def _final_status(connection: Connection, xid: str, until: float) -> Status | None:
    """None where it is not known, or not final by then."""
    while (status := status_of(connection, xid)) == "in progress":
        if time.monotonic() > until:
            return None
        time.sleep(FIRST_PAUSE_S)
    return status


SESSION = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"

END_EARLIER = """
    SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
    WHERE pid = %s AND backend_start = %s
"""
"""Of our lost connection the server may not know yet: what it held must go, and its COMMIT end."""
