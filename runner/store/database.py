"""One SQLite file that this process has to itself.

Writes have a thread, in which those that stand in line share one transaction, and
`synchronous=FULL` makes one that returned survive the machine. Reads have connections of
their own, in the thread that asks or in others: however long, none holds up a write.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar, cast

from runner.agents.threads import Outcome, Threads, given, until_done
from runner.store.base import StoreInUse, StoreUnavailable

T = TypeVar("T")
Step = Callable[[Connection], T]

_FILES = sorted((Path(__file__).parent / "migrations").glob("*.sql"))
MIGRATIONS = tuple(file.read_text() for file in _FILES)
"""What leads from each version of the tables to the next; an empty file has version 0."""

BUSY_S = 0.5
"""How long a write waits for another program that holds the file, such as a backup."""

MOST_TOGETHER = 128
"""Writes in one transaction: none of them is acknowledged before the last one is done."""

UNKNOWN = "The disk failed while the turn was being kept. The history will tell whether it was."

READERS = 4
"""Threads that read, and connections that are kept for the next reader."""


@contextmanager
def store_errors(detail: str | None = None) -> Generator[None]:
    """Turn what SQLite and the disk raise into StoreUnavailable."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise StoreUnavailable(detail and f"{detail}: {error}") from error


@dataclass(slots=True, eq=False)
class Write:
    """A step of a transaction, and who waits for its outcome."""

    step: Step[Any]
    result: asyncio.Future[Outcome]
    outcome: Outcome = (None, None)


class Database:
    """The file at `path`, and beside it a lock file that keeps a second process out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._readers = Threads(READERS, "sqlite-read")
        self._writer = Threads(1, "sqlite")
        self._line: list[Write] = []
        self._connection: Connection | None = None  # The one that writes; None when closed.
        self._idle: dict[int, list[Connection]] = {}  # Those that read, by process.
        self._lock: int | None = None
        self._inodes: list[int] = []

    async def open(self) -> None:
        """Raises StoreInUse, StoreUnavailable."""
        # With the path, for the operator, who can mend it; a client is not told about files.
        with store_errors(str(self._path)):
            await self._writer.run(self._open)

    async def close(self) -> None:
        """When what stands in line is written."""
        await self._put(lambda connection: None)
        await self._writer.run(self._close)

    async def read(self, step: Step[T]) -> T:
        """What the step gives, done in a thread."""
        return cast("T", given(await self._readers.start(lambda: self.read_here(step))))

    def read_here(self, step: Step[T]) -> T:
        """What the step gives, done in the thread that asks."""
        # A child that was forked neither uses the connections of its parent nor closes them.
        idle = self._idle.setdefault(os.getpid(), [])
        with store_errors():
            try:
                connection = idle.pop()
            except IndexError:
                self._opened()
                connection = self._connect("ro")
            try:
                value = step(connection)
            except BaseException:
                connection.close()  # With whatever was left open on it.
                raise
        if self._connection is not None and len(idle) < READERS:
            idle.append(connection)
        else:
            connection.close()
        return value

    async def write(self, step: Step[T], *, though_cancelled: bool = False) -> T:
        """What the step gives; it is done even if the caller is cancelled, who may wait on."""
        written = self._put(step)
        if though_cancelled:
            await until_done(written)
        with store_errors():
            return cast("T", given(await written))

    def _put(self, step: Step[Any]) -> asyncio.Future[Outcome]:
        write = Write(step, asyncio.get_running_loop().create_future())
        self._line.append(write)
        if len(self._line) == 1:
            self._start()
        return write.result

    def _start(self) -> None:
        self._writer.start(self._write).add_done_callback(self._written)

    def _written(self, ended: asyncio.Future[Outcome]) -> None:
        if self._line:
            self._start()
        writes, _ = ended.result()
        for write in writes:
            if not write.result.done():  # As it is where its caller was cancelled.
                write.result.set_result(write.outcome)

    # In the writer's thread.

    def _open(self) -> None:
        if self._connection is not None:
            return
        self._path = self._path.resolve()
        self._lock = _lock(self._path)
        # A child that an agent forks must not keep the lock when we are killed.
        os.register_at_fork(after_in_child=self._unlock)
        try:
            self._connection = self._connect("rwc")
            _prepare(self._connection)
            self._inodes = self._look()
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        connections = [self._connection, *self._idle.pop(os.getpid(), [])]
        self._connection = None
        for connection in filter(None, connections):
            with suppress(sqlite3.Error):  # The lock must go, and what was committed is safe.
                connection.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write(self) -> list[Write]:
        """Do what stands in line."""
        writes = self._line[:MOST_TOGETHER]
        del self._line[: len(writes)]
        try:
            _transact(self._opened(), writes)
        except BaseException as error:
            for write in writes:
                write.outcome = None, error
        return writes

    # In any thread.

    def _opened(self) -> Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the store is closed")
        # SQLite goes on with files that were deleted or replaced; what it keeps there is lost.
        if self._look() != self._inodes:
            raise OSError(f"{self._path} or its -wal is not the file that was opened")
        return self._connection

    def _look(self) -> list[int]:
        return [os.stat(f"{self._path}{suffix}").st_ino for suffix in ("", "-wal")]

    def _connect(self, mode: str) -> Connection:
        uri = f"{self._path.as_uri()}?mode={mode}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        return connection


def _lock(path: Path) -> int:
    """Hold the file's lock; the kernel lets go of it when this process ends, however it ends."""
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreInUse(f"{path}: {StoreInUse.__doc__}") from error
    return descriptor


def _prepare(connection: Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    version = connection.execute("PRAGMA user_version").fetchone()["user_version"]
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError(f"it has schema {version}, of a newer version")
    # In a new file; a table `turns` of another program's makes the first fail, rightly.
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number}; COMMIT;"
        )


def _transact(connection: Connection, writes: list[Write]) -> None:
    """All or none of them, but that one that fails, fails alone."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if len(writes) == 1:  # Nothing else is rolled back with it, so it needs no savepoint.
            writes[0].outcome = writes[0].step(connection), None
        else:
            for write in writes:
                write.outcome = _try(write.step, connection)
        _commit(connection)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _commit(connection: Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        # A sync that fails has perhaps written all: it can be there after a restart.
        if error.sqlite_errorname.startswith("SQLITE_IOERR"):
            raise StoreUnavailable(UNKNOWN, outcome="unknown") from error
        raise


def _try(step: Step[Any], connection: Connection) -> Outcome:
    connection.execute("SAVEPOINT step")
    outcome: Outcome
    try:
        outcome = step(connection), None
    except (sqlite3.Error, UnicodeError) as error:
        if not connection.in_transaction:
            raise  # SQLite has rolled back all of it, as it does when the disk is full.
        connection.execute("ROLLBACK TO step")
        outcome = None, error
    connection.execute("RELEASE step")
    return outcome
