"""An agent beside which the disk and the memory fail when a test says so.

A file `fault` in the server's folder has one line: [once] before|after STATEMENT FAULT, where
STATEMENT is how the SQL begins, and FAULT one of those below. `once` removes the file. Before
it may stand `STATEMENT -> `: then nothing fails until such a statement was done.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.agents import echo as echo

FAULT = Path("fault")


def fail(name: str) -> None:
    match name:
        case "memory":
            raise MemoryError
        case "io":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        case _:  # Somebody removes this file.
            os.unlink(name)


class FailingConnection(sqlite3.Connection):
    """SQLite on a disk that fails."""

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        _fail("before", sql)
        done = super().execute(sql, *args)
        _fail("after", sql)
        return done


def _fail(when: str, sql: str) -> None:
    line = ""
    with suppress(FileNotFoundError):
        line = FAULT.read_text()
    first, _, then = line.rpartition(" -> ")
    if first:
        if when == "after" and _begins(sql, first):
            FAULT.write_text(then)
        return
    at, _, rest = then.removeprefix("once ").partition(" ")
    statement, _, name = rest.rpartition(" ")
    if at == when and _begins(sql, statement):
        if then.startswith("once "):
            FAULT.unlink()
        fail(name)


def _begins(sql: str, statement: str) -> bool:
    words = statement.split()
    return sql.split()[: len(words)] == words


sqlite3.connect = partial(sqlite3.connect, factory=FailingConnection)  # type: ignore[assignment]
