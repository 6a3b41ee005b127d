"""History in one SQLite file: it survives the process, however that ends.

One row holds a turn, message and reply together, so a turn is there wholly or not
at all. `synchronous=FULL` makes a commit that returned survive the machine too.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from runner.agents.base import Message
from runner.store.base import Record, StoreInUse, StoreUnavailable
from runner.store.worker import Worker

T = TypeVar("T")

VERSION = 1
BUSY_S = 0.5
"""How long a commit waits for another program that holds the file, such as a backup."""

SCHEMA = """
CREATE TABLE turns (
    conversation TEXT NOT NULL,
    number INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    message TEXT NOT NULL,
    reply TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (conversation, number)
) WITHOUT ROWID;
"""

COMMIT = """
INSERT INTO turns (conversation, number, id, message, reply)
SELECT :conversation, coalesce(max(number), 0) + 1, :turn_id, :message, :reply
FROM turns WHERE conversation = :conversation
RETURNING number
"""

LAST = """
SELECT message, reply FROM turns WHERE conversation = ? ORDER BY number DESC LIMIT ?
"""


class SqliteStore:
    """The file at `path`, and beside it a lock file that keeps a second process out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._worker = Worker("sqlite")
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
        return await self._call(lambda: self._history(conversation, count))

    async def commit(self, record: Record) -> int:
        return await self._call(lambda: self._commit(record))

    async def _call(self, step: Callable[[], T]) -> T:
        try:
            return await self._worker.run(step)
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
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"{self._path} has schema {version}, of a newer version")
        if version == 0:  # New; a table `turns` of another program's makes this fail, rightly.
            connection.executescript(
                f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"
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

    def _history(self, conversation: str, count: int) -> list[Message]:
        turns = -1 if count == 0 else (count + 1) // 2
        rows = self._opened().execute(LAST, (conversation, turns)).fetchall()
        messages: list[Message] = []
        for message, reply in reversed(rows):
            messages.append({"role": "user", "content": message})
            messages.append({"role": "assistant", "content": reply})
        return messages[-count:]

    def _commit(self, record: Record) -> int:
        values = {
            "conversation": record.conversation,
            "turn_id": record.turn_id,
            "message": record.message,
            "reply": record.reply,
        }
        self._check_file()
        # One statement is one transaction; it is committed when its rows have been fetched.
        with closing(self._opened().execute(COMMIT, values)) as cursor:
            ((number,),) = cursor.fetchall()
        return int(number)


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
