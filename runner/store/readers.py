"""Connections that only read, for any thread: in WAL mode none of them holds up a commit."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

MOST_IDLE = 8
"""Connections that are kept for the next reader."""


class Readers:
    """A pool; `connect` may be called by several threads at once."""

    def __init__(self, path: Path, check: Callable[[], None], busy_s: float) -> None:
        self._path = path
        self._check = check
        self._busy_s = busy_s
        self._idle: deque[sqlite3.Connection] | None = None
        self._of_parent: object = None

    def open(self) -> None:
        self._idle = deque()

    def close(self) -> None:
        idle, self._idle = self._idle, None
        for connection in idle or ():
            connection.close()

    @contextmanager
    def connection(self) -> Generator[sqlite3.Connection]:
        """One for this block alone. What fails in it, its connection does not outlive."""
        idle = self._idle
        if idle is None:
            raise sqlite3.ProgrammingError("the store is closed")
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._idle is idle and len(idle) < MOST_IDLE:
            idle.append(connection)
        else:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        self._check()
        uri = f"{self._path.resolve().as_uri()}?mode=ro"
        connection = sqlite3.connect(
            uri, uri=True, timeout=self._busy_s, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        return connection

    def leave_to_parent(self) -> None:
        """In a forked child: SQLite's connections do not survive that, nor may it close them."""
        if self._idle is not None:
            self._of_parent, self._idle = self._idle, deque()
