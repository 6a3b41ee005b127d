"""One transaction for several writes, and what became of each: kept, not kept, or unknown."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar

from runner.agents.threads import Outcome
from runner.store.base import NothingKept, StoreUnavailable
from runner.store.line import Write, fail, failed

T = TypeVar("T")
Step = Callable[[Connection], T]

_FILES = sorted((Path(__file__).parent / "migrations").glob("*.sql"))
MIGRATIONS = tuple(file.read_text() for file in _FILES)
"""What leads from each version of the tables to the next; an empty file has version 0."""


def prepare(connection: Connection) -> None:
    """Bring the file to the newest version."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError(f"it has schema {version}, of a newer version of the server")
    if not version and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise sqlite3.DatabaseError("it is a database of another program's; name another file")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number}; COMMIT;"
        )
    # A copy by VACUUM INTO is no WAL file until now. Its -wal comes with the first read: here, so
    # that it is there when what is to stay is noted.
    connection.execute("SELECT 1 FROM sqlite_master").fetchone()


def transact(connection: Connection, writes: Sequence[Write], check: Callable[[], None]) -> None:
    """Do all or none of them, but that one that fails, fails alone; each is given its outcome.

    check  raises where the file is not the one that was opened.
    """
    try:
        check()
        _roll_back(connection)  # Where that failed the last time.
        connection.execute("BEGIN IMMEDIATE")
        if len(writes) == 1:  # Nothing else is rolled back with it, so it needs no savepoint.
            writes[0].outcome = writes[0].step(connection), None
        else:
            for write in writes:
                write.outcome = _try(write.step, connection)
    except BaseException as error:
        fail(writes, error, NothingKept)
        with suppress(sqlite3.Error):
            _roll_back(connection)
        return
    try:
        connection.execute("COMMIT")
    except BaseException as error:
        _settle(connection, writes, check, error)
    try:
        check()  # Or it went into a file that nobody will read.
    except OSError as error:
        fail(writes, error)


def _settle(
    connection: Connection, writes: Sequence[Write], check: Callable[[], None], error: BaseException
) -> None:
    """Find out what a COMMIT that failed has kept.

    A sync that fails has perhaps written all: SQLite does not show it, but would find it after
    a kill. The next transaction is written over it. Once that is on the disk, what SQLite
    shows is what there is.
    """
    try:
        check()
        _roll_back(connection)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        kept = [None if write.ask is None else write.ask(connection) for write in writes]
        connection.execute("COMMIT")
    except BaseException:
        fail(writes, error)
    else:
        for write, value in zip(writes, kept, strict=True):
            if value is not None:
                write.outcome = value, None
            elif write.outcome[1] is None:
                write.outcome = failed(error, NothingKept if write.ask else StoreUnavailable)


def _try(step: Step[Any], connection: Connection) -> Outcome:
    connection.execute("SAVEPOINT step")
    outcome: Outcome
    try:
        outcome = step(connection), None
    except (sqlite3.Error, UnicodeError, StoreUnavailable) as error:
        if not connection.in_transaction:
            raise  # SQLite has rolled back all of it, as it does when the disk is full.
        connection.execute("ROLLBACK TO step")
        outcome = failed(error, NothingKept)
    connection.execute("RELEASE step")
    return outcome


def _roll_back(connection: Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
