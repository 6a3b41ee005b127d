"""One SQLite file that this process has to itself.

Writes have a thread, in which those that stand in line share one transaction, and
`synchronous=FULL` makes one that returned survive the machine. Reads have connections of
their own, in the thread that asks or in others: however long, none holds up a write.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar, cast

from runner.agents.threads import Outcome, Threads, given, until_done
from runner.store.base import NothingKept, StoreUnavailable
from runner.store.held_file import FileReplaced, HeldFile
from runner.store.transactions import Step, Write, fail, prepare, transact

T = TypeVar("T")

BUSY_S = 0.5
"""How long a write waits for another program that holds the file, such as a backup."""

MOST_TOGETHER = 128
"""Writes in one transaction: none of them is acknowledged before the last one is done."""

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
        self._writer = Threads(1, "sqlite")
        self._line: list[Write] = []
        self._connection: Connection | None = None  # The one that writes; None when closed.
        self._idle: dict[int, list[Connection]] = {}  # Those that read, by process.
        self._is_writing = False
        self.lost = False

    async def open(self) -> None:
        """Raises StoreInUse, StoreUnavailable."""
        # With the path, for the operator, who can mend it; a client is not told about files.
        with store_errors(str(self._file.path)):
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

    async def write(
        self, step: Step[T], ask: Step[T | None] | None = None, *, though_cancelled: bool = False
    ) -> T:
        """What the step gives; it is done even if the caller is cancelled, who may wait on.

        ask  gives the same, or None where nothing is kept, should COMMIT fail; without it,
             or where that cannot be asked either, the outcome of the error is `unknown`.
        """
        written = self._put(step, ask)
        if though_cancelled:
            await until_done(written)
        return cast("T", given(await written))

    def _put(self, step: Step[Any], ask: Step[Any] | None = None) -> asyncio.Future[Outcome]:
        write = Write(step, asyncio.get_running_loop().create_future(), ask)
        self._line.append(write)
        if not self._is_writing:
            self._start()
        return write.result

    def _start(self) -> None:
        writes: list[Write] = []
        ended = self._writer.start(lambda: self._write(writes))
        self._is_writing = True
        ended.add_done_callback(partial(self._written, writes))

    def _written(self, writes: list[Write], ended: asyncio.Future[Outcome]) -> None:
        """The thread is done with these; whatever it raised, all are told, and the line goes on."""
        self._is_writing = False
        try:
            if self._line:
                self._start()
        finally:
            if (error := ended.result()[1]) is not None:
                fail(writes, error)
            for write in writes:
                if not write.result.done():  # As it is where its caller was cancelled.
                    write.result.set_result(write.outcome)

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
        connections = [self._connection, *self._idle.pop(os.getpid(), [])]
        self._connection = None
        for connection in filter(None, connections):
            with suppress(sqlite3.Error):  # The lock must go, and what was committed is safe.
                connection.close()
        self._file.release()

    def _write(self, writes: list[Write]) -> None:
        """Do what stands in line; it is put into `writes`, which is empty."""
        writes += self._line[:MOST_TOGETHER]
        del self._line[: len(writes)]
        try:
            connection = self._opened()
        except sqlite3.Error as error:
            fail(writes, error, NothingKept)
        else:
            transact(connection, writes, self._check)

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
