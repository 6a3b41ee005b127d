"""History in one SQLite file: it survives the process, however that ends.

One row holds a turn, message and reply together, so a turn is there wholly or not
at all. `synchronous=FULL` makes a commit that returned survive the machine too.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from runner.agents.base import Message
from runner.store import schema
from runner.store.base import AcceptedTurn, Ending, Record, StoreInUse, StoreUnavailable
from runner.store.worker import Worker
from strategies import State

T = TypeVar("T")

BUSY_S = 0.5
"""How long a commit waits for another program that holds the file, such as a backup."""


class SqliteStore:
    """The file at `path`, and beside it a lock file that keeps a second process out."""

    durable = True

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

    async def conversations(self, prefix: str) -> Mapping[str, int]:
        rows = await self._call(lambda: self._rows(schema.CONVERSATIONS, {"prefix": prefix}))
        return dict(rows)

    async def forget(self, conversation: str) -> None:
        await self._call(lambda: self._write(lambda c: _forget(c, conversation)))

    async def accept(self, turn: AcceptedTurn) -> None:
        values = (
            turn.id, turn.conversation, turn.message, turn.accepted_at, turn.deadline_at,
            turn.priority, turn.strategy, turn.key, turn.digest,
        )  # fmt: skip
        await self._call(lambda: self._write(lambda c: c.execute(schema.ACCEPT, values)))

    async def begin(self, turn_ids: Sequence[str]) -> None:
        await self._call(lambda: self._write(lambda c: _begin(c, turn_ids)))

    async def end(self, turn_id: str, ending: Ending) -> None:
        values = {
            "id": turn_id,
            "state": ending.state,
            "cause": ending.cause,
            "detail": ending.detail,
            "outcome": ending.outcome,
            "retry_after_s": ending.retry_after_s,
            "waited_s": ending.waited_s,
            "ran_s": ending.ran_s,
        }
        await self._call(lambda: self._write(lambda c: c.execute(schema.END, values)))

    async def find(self, turn_id: str) -> AcceptedTurn | None:
        return await self._call(lambda: self._find(turn_id))

    async def unfinished(self) -> list[AcceptedTurn]:
        rows = await self._call(lambda: self._rows(schema.UNFINISHED, ()))
        return [_accepted(row) for row in rows]

    async def keyed(self) -> list[AcceptedTurn]:
        rows = await self._call(lambda: self._rows(schema.KEYED, ()))
        return [_accepted(row) for row in rows]

    async def prune(self, before: float, most: int) -> None:
        values = {"before": before, "most": most}
        await self._call(lambda: self._write(lambda c: c.execute(schema.PRUNE, values)))

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

    def _history(self, conversation: str, count: int) -> list[Message]:
        turns = -1 if count == 0 else (count + 1) // 2
        rows = self._rows(schema.LAST, (conversation, turns))
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
            "state": record.state,
        }

        def write(connection: sqlite3.Connection) -> int:
            with closing(connection.execute(schema.COMMIT, values)) as cursor:
                ((number,),) = cursor.fetchall()
            for turn_id in record.answers or (record.turn_id,):
                answer = {"id": turn_id, "state": record.state, "number": number}
                connection.execute(schema.ANSWER, answer)
            return int(number)

        return self._write(write)

    def _write(self, step: Callable[[sqlite3.Connection], T]) -> T:
        """Do it in one transaction, or not at all."""
        self._check_file()
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = step(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _rows(self, statement: str, values: Any) -> list[Any]:
        return self._opened().execute(statement, values).fetchall()

    def _find(self, turn_id: str) -> AcceptedTurn | None:
        for row in self._rows(schema.FIND, (turn_id,)):
            return _accepted(row)
        for conversation, at, state, reply, number in self._rows(schema.FIND_COMMITTED, (turn_id,)):
            ending = Ending(State(state), reply, number)
            return AcceptedTurn(turn_id, conversation, "", at, ending=ending)
        return None


def _forget(connection: sqlite3.Connection, conversation: str) -> None:
    for statement in schema.FORGET:
        connection.execute(statement, (conversation,))


def _begin(connection: sqlite3.Connection, turn_ids: Sequence[str]) -> None:
    for turn_id in turn_ids:
        if connection.execute(schema.BEGIN, (turn_id,)).rowcount != 1:
            raise sqlite3.IntegrityError(f"turn {turn_id} is not written down")


def _accepted(row: Sequence[Any]) -> AcceptedTurn:
    """The columns of the statements are in the order of the fields, the ending's last."""
    turn, (state, reply, number, cause, detail, outcome, *times) = row[:10], row[10:]
    if state is None:
        return AcceptedTurn(*turn)
    retry_after_s, waited_s, ran_s = times
    ending = Ending(
        State(state),
        reply,
        number or 0,
        cause,
        detail or "",
        outcome or "unknown",
        retry_after_s,
        waited_s or 0.0,
        ran_s or 0.0,
    )
    return replace(AcceptedTurn(*turn), ending=ending)


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
