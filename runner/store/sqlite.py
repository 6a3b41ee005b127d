"""History in one SQLite file: it survives the process, however that ends.

One row holds a turn, message and reply together, so a turn is there wholly or not
at all. `synchronous=FULL` makes a commit that returned survive the machine too.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from runner.agents.base import Message
from runner.store import schema, statements
from runner.store.base import AcceptedTurn, Ending, Record, StoreInUse, StoreUnavailable
from runner.store.worker import Failed, Worker

T = TypeVar("T")

BUSY_S = 0.5
"""How long a commit waits for another program that holds the file, such as a backup."""


class SqliteStore:
    """The file at `path`, and beside it a lock file that keeps a second process out."""

    durable = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._worker = Worker("sqlite", self._together)
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._file = (0, 0)

    async def open(self) -> None:
        try:
            await self._call(self._open)
        except StoreUnavailable as error:
            # To the operator, who can mend it; a client is not told about files.
            raise StoreUnavailable(f"{self._path}: {error.__cause__}") from error.__cause__

    async def close(self) -> None:
        await self._worker.run(self._close)
        # The next call, if there is one, may come from another event loop and another thread.
        self._worker.stop()

    async def history(self, conversation: str, count: int = 0) -> list[Message]:
        return await self._read(lambda c: statements.history(c, conversation, count))

    async def commit(self, record: Record) -> int:
        return await self._write(lambda c: statements.commit(c, record))

    async def conversations(self, prefix: str) -> Mapping[str, int]:
        return await self._read(lambda c: statements.conversations(c, prefix))

    async def forget(self, conversation: str) -> None:
        await self._write(lambda c: statements.forget(c, conversation))

    async def accept(self, turn: AcceptedTurn) -> None:
        await self._write(lambda c: statements.accept(c, turn))

    async def begin(self, turn_ids: Sequence[str]) -> None:
        await self._write(lambda c: statements.begin(c, turn_ids))

    async def end(self, turn_id: str, ending: Ending) -> None:
        await self._write(lambda c: statements.end(c, turn_id, ending))

    async def find(self, turn_id: str) -> AcceptedTurn | None:
        return await self._read(lambda c: statements.find(c, turn_id))

    async def unfinished(self) -> list[AcceptedTurn]:
        return await self._read(statements.unfinished)

    async def keyed(self) -> list[AcceptedTurn]:
        return await self._read(statements.keyed)

    async def prune(self, before: float, most: int) -> None:
        await self._write(lambda c: statements.prune(c, before, most))

    async def _read(self, step: Callable[[sqlite3.Connection], T]) -> T:
        return await self._call(lambda: step(self._opened()))

    async def _write(self, step: Callable[[sqlite3.Connection], T]) -> T:
        return await self._call(lambda: step(self._opened()), is_write=True)

    async def _call(self, step: Callable[[], T], *, is_write: bool = False) -> T:
        try:
            return await self._worker.run(step, is_write=is_write)
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise StoreUnavailable from error

    # In the worker's thread, one at a time.

    def _open(self) -> None:
        if self._connection is not None:
            return
        self._lock = _lock(self._path)
        os.register_at_fork(after_in_child=self._unlock)
        try:
            self._connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
            self._prepare(self._connection)
            opened = os.stat(self._path)
            self._file = (opened.st_dev, opened.st_ino)
        except BaseException:
            self._close()
            raise

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > schema.VERSION:
            raise sqlite3.DatabaseError(f"{self._path} has schema {version}, of a newer version")
        # In a new file; a table `turns` of another program's makes the first fail, rightly.
        for number, migration in enumerate(schema.MIGRATIONS[version:], version + 1):
            connection.executescript(
                f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number}; COMMIT;"
            )

    def _close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error):  # The lock must go, and what was committed is safe.
                connection.close()
        self._unlock()

    def _unlock(self) -> None:
        # Also in a child that an agent forked: it must not keep the lock when we are killed.
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the store is closed")
        return self._connection

    def _check_file(self) -> None:
        """SQLite goes on with a file that was deleted or replaced; what it keeps there is lost."""
        there = os.stat(self._path)
        if (there.st_dev, there.st_ino) != self._file:
            raise OSError(f"{self._path} is not the file that was opened")

    def _together(self, steps: Sequence[Callable[[], Any]]) -> list[Any]:
        """All in one transaction, with one sync of the disk; one that fails, fails alone."""
        self._check_file()
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        try:
            outcomes = [_alone(connection, step) for step in steps]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes


def _alone(connection: sqlite3.Connection, step: Callable[[], Any]) -> Any:
    connection.execute("SAVEPOINT step")
    try:
        outcome = step()
    except (sqlite3.Error, UnicodeError) as error:
        if not connection.in_transaction:
            raise  # SQLite has rolled back all of it, as it does when the disk is full.
        connection.execute("ROLLBACK TO step")
        outcome = Failed(error)
    connection.execute("RELEASE step")
    return outcome


def _lock(path: Path) -> int:
    """Hold the file's lock; the kernel lets go of it when this process ends, however it ends."""
    real = path.resolve()
    name = f"{real}.lock"
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreInUse(
            f"another process serves from {real}. End it first, or name another file: "
            "--store sqlite:///other.db"
        ) from error
    return descriptor
