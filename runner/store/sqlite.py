"""History in one SQLite file: it survives the process, however that ends.

One row holds a turn, message and reply together, so a turn is there wholly or not
at all. `synchronous=FULL` makes a commit that returned survive the machine too.
Writes have a thread, in which those that stand in line share one transaction. Reads
have connections of their own: a `History` reads in the thread that asks, everything
else in a second thread, so that no read, however long, holds up a commit.
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
from runner.store import statements
from runner.store.base import AcceptedTurn, Ending, Record, StoreInUse, StoreUnavailable
from runner.store.history import History
from runner.store.migrations import MIGRATIONS
from runner.store.readers import Readers
from runner.store.worker import Failed, Worker, outcome_of

T = TypeVar("T")

BUSY_S = 0.5
"""How long a commit waits for another program that holds the file, such as a backup."""

MOST_TOGETHER = 128
"""Writes in one transaction: none of them is acknowledged before the last one is done."""


class SqliteStore:
    """The file at `path`, and beside it a lock file that keeps a second process out."""

    durable = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = Worker("sqlite", self._together, MOST_TOGETHER)
        self._reader = Worker("sqlite-read", _each, 1)
        self._readers = Readers(path, self._check_files, BUSY_S)
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._files: tuple[object, ...] = ()

    async def open(self) -> None:
        try:
            await self._reader.run(self._open)
        except (sqlite3.Error, OSError, UnicodeError) as error:
            # To the operator, who can mend it; a client is not told about files.
            raise StoreUnavailable(f"{self._path}: {error}") from error

    async def close(self) -> None:
        await self._reader.stop(self._readers.close)
        await self._writer.stop(self._close)

    # History.

    def history(self, conversation: str, turns: int | None = None) -> History:
        return History(self, conversation, turns)

    def span(self, conversation: str) -> tuple[int, int]:
        return 1, self._read_here(lambda c: statements.last_number(c, conversation))

    def read(self, conversation: str, first: int, last: int) -> Sequence[sqlite3.Row]:
        return self._read_here(lambda c: statements.turns(c, conversation, first, last))

    async def messages(self, conversation: str, count: int = 0) -> list[Message]:
        return await self._reader.run(lambda: self.history(conversation)[-count:])

    async def commit(self, record: Record) -> int:
        return await self._write(lambda c: statements.commit(c, record))

    async def turns(self, conversation: str) -> int:
        return await self._read(lambda c: statements.last_number(c, conversation))

    async def conversations(
        self, prefix: str, limit: int, without: str | None = None
    ) -> tuple[Mapping[str, int], int]:
        return await self._read(lambda c: statements.conversations(c, prefix, limit, without))

    async def forget(self, conversation: str) -> None:
        await self._write(lambda c: statements.forget(c, conversation))

    # Accepted turns.

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
        # The long part only reads.
        upto = await self._read(lambda c: statements.surplus(c, most))
        await self._write(lambda c: statements.prune(c, before, upto))

    # Errors of the disk become the store's.

    async def _write(self, step: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._writer.run(lambda: step(self._opened()))
        except _PerhapsKept as error:
            raise StoreUnavailable(_PerhapsKept.__doc__, outcome="unknown") from error
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise StoreUnavailable from error

    async def _read(self, step: Callable[[sqlite3.Connection], T]) -> T:
        return await self._reader.run(lambda: self._read_here(step))

    def _read_here(self, step: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._readers.connection() as connection:
                return step(connection)
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise StoreUnavailable from error

    # In a worker's thread.

    def _open(self) -> None:
        if self._connection is not None:
            return
        self._lock = _lock(self._path)
        os.register_at_fork(after_in_child=self._in_child)
        try:
            self._connection = sqlite3.connect(
                self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._prepare(self._connection)
            self._files = self._see_files()
            self._readers.open()
        except BaseException:
            self._close()
            raise

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise sqlite3.DatabaseError(f"{self._path} has schema {version}, of a newer version")
        # In a new file; a table `turns` of another program's makes the first fail, rightly.
        for number, migration in enumerate(MIGRATIONS[version:], version + 1):
            connection.executescript(
                f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number}; COMMIT;"
            )

    def _close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error):  # The lock must go, and what was committed is safe.
                connection.close()
        self._unlock()

    def _in_child(self) -> None:
        self._readers.leave_to_parent()
        self._unlock()  # A child that an agent forked must not keep the lock when we are killed.

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the store is closed")
        return self._connection

    def _see_files(self) -> tuple[object, ...]:
        return _inode(self._path), _inode(Path(f"{self._path}-wal"))

    def _check_files(self) -> None:
        """SQLite goes on with files that were deleted or replaced; what it keeps there is lost."""
        if self._see_files() != self._files:
            raise OSError(f"{self._path} or its -wal is not the file that was opened")

    def _together(self, steps: Sequence[Callable[[], Any]]) -> Sequence[Any]:
        """All in one transaction, with one sync of the disk; one that fails, fails alone."""
        connection = self._opened()
        self._check_files()
        connection.execute("BEGIN IMMEDIATE")
        try:
            # One by itself needs no savepoint: nothing else is rolled back with it.
            alone = len(steps) == 1
            outcomes = [step() if alone else _one_of(connection, step) for step in steps]
            _commit(connection)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes


def _inode(path: Path) -> object:
    with suppress(FileNotFoundError):
        seen = path.stat()
        return seen.st_dev, seen.st_ino
    return None


class _PerhapsKept(sqlite3.OperationalError):
    """The disk failed while the turn was being kept. The history will tell whether it was."""


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        # A sync that fails has perhaps written all: it can be there after a restart.
        if error.sqlite_errorname.startswith("SQLITE_IOERR"):
            raise _PerhapsKept(str(error)) from error
        raise


def _each(steps: Sequence[Callable[[], Any]]) -> list[Any]:
    return [outcome_of(step) for step in steps]


def _one_of(connection: sqlite3.Connection, step: Callable[[], Any]) -> Any:
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
