"""Conversations out of a SQLite file, while a server has it or not, and into one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection, IntegrityError
from typing import Any

from runner.store.archive import KeptConversation, KeptTurn
from runner.store.base import AcceptedTurn, AgentState, IdTaken
from runner.store.database import store_errors
from runner.store.rows import ENDING, TURN, accepted
from runner.store.transactions import MIGRATIONS
from strategies import State

OLDEST = 8
"""The schema of the oldest files that can be read as they are."""

BUSY_S = 5.0
"""How long a reader waits, such as for a server that puts its file in order after a kill."""

TEXTS = ("message", "reply", "output", "requests")


@contextmanager
def snapshot(path: Path) -> Generator[SqliteSnapshot]:
    """As `Store.snapshot`: one transaction that only reads."""
    with store_errors(str(path)):
        connection = _connect(path)
    with closing(connection):
        with store_errors(str(path)):
            _check(connection)
        yield SqliteSnapshot(connection)


class SqliteSnapshot:
    """What the transaction sees that is open on this connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def names(self) -> Iterator[str]:
        for row in self._rows("SELECT id FROM conversations ORDER BY id"):
            yield row["id"]

    def conversation(self, name: str) -> KeptConversation | None:
        sql = """
            SELECT said, (SELECT max(number) FROM turns WHERE conversation = c.id) AS last
            FROM conversations AS c WHERE id = ?
        """
        row = next(self._rows(sql, name), None)
        if row is None:
            return None
        sql = """
            SELECT form, state, requests, before FROM agent_states
            WHERE conversation = ? ORDER BY form
        """
        states = tuple(AgentState(*left) for left in self._rows(sql, name))
        return KeptConversation(name, row["last"], row["said"], states, self._parts(name))

    def unfinished(self) -> list[str]:
        sql = "SELECT conversation FROM accepted WHERE state IS NULL ORDER BY sequence"
        return [row["conversation"] for row in self._rows(sql)]

    def _parts(self, name: str) -> Iterator[KeptTurn | AcceptedTurn]:
        merged: dict[int, list[str]] = {}
        for row in self._rows("SELECT number, id FROM merged WHERE conversation = ?", name):
            merged.setdefault(row["number"], []).append(row["id"])
        for row in self._rows("SELECT * FROM turns WHERE conversation = ? ORDER BY number", name):
            yield _kept_turn(row, merged.get(row["number"], ()))
        sql = """
            SELECT * FROM accepted WHERE conversation = ? AND state IS NOT NULL ORDER BY sequence
        """
        for row in self._rows(sql, name):
            yield accepted(dict(row))

    def _rows(self, sql: str, *values: object) -> Iterator[Any]:
        with store_errors():
            # No `yield from`: it would close the cursor, perhaps after the connection.
            for row in self._connection.execute(sql, values):  # noqa: UP028
                yield row


def restore(db: Connection, conversations: Iterable[KeptConversation]) -> list[str]:
    """As `Store.restore`, in the transaction that is open."""
    existing: list[str] = []
    for conversation in conversations:
        try:
            is_new = _restore(db, conversation)
        except IntegrityError as error:
            raise IdTaken(f"{conversation.id}: {IdTaken.__doc__}") from error
        if not is_new:
            existing.append(conversation.id)
    return existing


def _restore(db: Connection, conversation: KeptConversation) -> bool:
    """False where it has a history already."""
    sql = "SELECT 1 FROM turns WHERE conversation = ? LIMIT 1"
    if db.execute(sql, (conversation.id,)).fetchone():
        return False
    last_at = 0.0
    for part in conversation.parts:
        if isinstance(part, KeptTurn):
            _insert(db, "turns", _turn_row(conversation.id, part))
            for turn_id in part.merged:
                row = {"id": turn_id, "conversation": conversation.id, "number": part.number}
                _insert(db, "merged", row)
            last_at = part.kept_at
        else:
            _insert(db, "accepted", _accepted_row(part))
    # Last, for only now its last turn is known.
    row = {"id": conversation.id, "said": conversation.said, "last_at": last_at}
    _insert(db, "conversations", row)
    for left in conversation.states:
        row = {name: getattr(left, name) for name in ("form", "state", "requests", "before")}
        _insert(db, "agent_states", {"conversation": conversation.id, **row})
    return True


def _insert(db: Connection, table: str, row: Mapping[str, object]) -> None:
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES (:{', :'.join(row)})", dict(row))


def _connect(path: Path) -> Connection:
    if not path.exists():
        raise FileNotFoundError("there is no such file")
    path = path.resolve()
    uri = f"{path.as_uri()}?mode=ro"
    if not (os.access(path.parent, os.W_OK) or path.with_name(f"{path.name}-wal").exists()):
        # SQLite would make a -wal. Without one no server has the file, such as a backup's.
        uri += "&immutable=1"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    return connection


def _check(connection: Connection) -> None:
    """Begin the transaction, of a file that can be read."""
    connection.execute("BEGIN")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not version:
        raise sqlite3.DatabaseError("it is no store of this program")
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError(f"it has schema {version}, of a newer version of the program")
    if version < OLDEST:
        raise sqlite3.DatabaseError(
            f"it has schema {version}, of an earlier version of the program. "
            "Start the server once, which brings it up to date"
        )


def _kept_turn(row: Any, merged: Iterable[str]) -> KeptTurn:
    kept_at = datetime.fromisoformat(row["created_at"]).timestamp()
    texts = {name: row[name] for name in TEXTS}
    return KeptTurn(
        row["number"], row["id"], kept_at=kept_at, state=State(row["state"]),
        merged=tuple(merged), **texts,
    )  # fmt: skip


def _turn_row(conversation: str, turn: KeptTurn) -> dict[str, object]:
    at = datetime.fromtimestamp(turn.kept_at, UTC).isoformat(timespec="milliseconds")
    return {
        "conversation": conversation,
        "number": turn.number,
        "id": turn.id,
        "created_at": at.replace("+00:00", "Z"),
        "state": turn.state,
        **{name: getattr(turn, name) for name in TEXTS},
    }


def _accepted_row(turn: AcceptedTurn) -> dict[str, object]:
    row = {name: getattr(turn, name) for name in TURN}
    return row | {name: getattr(turn.ending, name) for name in ENDING if turn.ending}
