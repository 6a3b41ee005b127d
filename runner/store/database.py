"""One SQLite file that this process has to itself.

Writes stand in line before a thread, and `synchronous=FULL` makes one that returned survive
the machine. Reads have connections of their own, in the thread that asks or in others: however
long, none holds up a write.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar, cast

from runner.agents.threads import Threads, given
from runner.store.base import NothingKept, StoreUnavailable
from runner.store.held_file import FileReplaced, HeldFile
from runner.store.line import Write, WriteLine, fail
from runner.store.transactions import Step, prepare, transact

T = TypeVar("T")

BUSY_S = 0.5
"""How long a write waits for another program that holds the file, such as a backup."""

UNREAD = "The store could not be read. Try again later."

READERS = 4
"""Threads that read, and connections that are kept for the next reader."""


@contextmanager
def store_errors(about: str | None = None) -> Generator[None]:
    """Turn what SQLite and the disk raise into StoreUnavailable."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeError, MemoryError) as error:
        # A read that fails tells nothing of the turn that was asked for: the outcome is unknown.
        raise StoreUnavailable(f"{about}: {error}" if about else UNREAD) from error


class Database:
    """The file at `path`."""

    def __init__(self, path: Path) -> None:
        self._file = HeldFile(path)
        self._readers = Threads(READERS, "sqlite-read")
        self._line = WriteLine("sqlite", self._write)
        self.write = self._line.write
        self._connection: Connection | None = None  # The one that writes; None when closed.
        self._idle: dict[int, list[Connection]] = {}  # Those that read, by process.
        self.lost = False

    async def open(self) -> None:
        """Raises StoreInUse, StoreUnavailable."""
        # With the path, for the operator, who can mend it; a client is not told about files.
        with store_errors(str(self._file.path)):
            await self._line.run(self._open)

    async def close(self) -> None:
        """When what stands in line is written."""
        await self._line.put(lambda connection: None).result
        await self._line.run(self._close)

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
                self._file.check()
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

    # In the writer's thread.

    def _open(self) -> None:
        if self._connection is not None:
            return
        self._file.path = self._file.path.resolve()
        self._file.take()
        os.register_at_fork(after_in_child=self._file.leave)
        try:
            self._connection = self._connect("rwc")
            prepare(self._connection)
            self._file.watch()
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        # The one that writes is the last: only so does SQLite put the -wal into the file.
        connections = [*self._idle.pop(os.getpid(), []), self._connection]
        self._connection = None
        for connection in filter(None, connections):
            with suppress(sqlite3.Error):  # The lock must go, and what was committed is safe.
                connection.close()
        self._file.release()

    def _write(self, writes: Sequence[Write]) -> bool:
        try:
            connection = self._opened()
        except sqlite3.Error as error:
            fail(writes, error, NothingKept)
        else:
            transact(connection, writes, self._check)
        return True

    def _check(self) -> None:
        try:
            self._file.check()
        except FileReplaced:
            self.lost = True
            # What was acknowledged may stand in a -wal that nobody finds: put it where it is safe.
            with suppress(sqlite3.Error):
                self._opened().execute("PRAGMA wal_checkpoint(FULL)")
            raise

    # In any thread.

    def _opened(self) -> Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the store is closed")
        return self._connection

    def _connect(self, mode: str) -> Connection:
        uri = f"{self._file.path.as_uri()}?mode={mode}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        return connection
