"""A SQLite store moves into Postgres: all of it, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

from psycopg import sql

from runner.store.postgres import schema
from runner.store.postgres.connection import (
    Connection,
    connect,
    parameters_of,
    place_of,
    store_errors,
)
from runner.store.postgres.rows import TEXTS
from runner.store.rows import ENDING, TURN
from runner.store.sqlite import SqliteStore

CREATED_AT = "(julianday(created_at) - 2440587.5) * 86400.0"
OF_ACCEPTED = ("sequence", *TURN, *ENDING)

TABLES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "conversations": (
        ("id", "last", "said", "last_at"),
        """
        SELECT id, (SELECT max(number) FROM turns WHERE conversation = c.id) AS last, said, last_at
        FROM conversations AS c
        """,
    ),
    "turns": (
        ("conversation", "number", "id", "message", "reply", "created_at", "state", "output",
         "requests"),
        f"""
        SELECT conversation, number, id, message, reply, {CREATED_AT} AS created_at, state,
        output, requests FROM turns
        """,
    ),
    "merged": (("id", "conversation", "number"), "SELECT id, conversation, number FROM merged"),
    "agent_states": (
        ("conversation", "form", "state", "requests", "before"),
        "SELECT conversation, form, state, requests, before FROM agent_states",
    ),
    "accepted": (OF_ACCEPTED, f"SELECT {', '.join(OF_ACCEPTED)} FROM accepted"),
}  # fmt: skip
"""The tables there, without their prefix, and what of SQLite goes into them."""

NEXT = """
    SELECT setval(pg_get_serial_sequence('turnline_accepted', 'sequence'), max(sequence))
    FROM turnline_accepted HAVING count(*) > 0
"""


class NotEmpty(Exception):
    """There are turns in the Postgres store already. Move into an empty database or schema."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How many there were; `unfinished` turns are taken up by the next server."""

    conversations: int
    turns: int
    accepted: int
    unfinished: int


def make_ready(url: str) -> int:
    """Bring the tables to the newest version, which this gives. Raises StoreUnavailable.

    Servers of this version may run meanwhile.
    """
    parameters = parameters_of(url)
    with store_errors(place_of(parameters)), connect(parameters) as connection:
        schema.prepare(connection)
    return len(schema.MIGRATIONS)


async def move(source: Path, url: str) -> Moved:
    """Copy what is in the file, which stays as it is, but for its own version.

    Raises FileNotFoundError, NotEmpty, StoreInUse, StoreUnavailable; then nothing was copied.
    """
    _check_there(source)
    store = SqliteStore(source)
    await store.open()
    try:
        return await store.database.read(lambda kept: _copied(kept, url))
    finally:
        await store.close()


def _check_there(source: Path) -> None:
    """To open it would make it."""
    if not source.is_file():
        raise FileNotFoundError(f"there is no file {source}")


def _copied(kept: SqliteConnection, url: str) -> Moved:
    parameters = parameters_of(url)
    with store_errors(place_of(parameters)), connect(parameters) as connection:
        schema.take(connection)
        schema.prepare(connection)
        with connection.transaction():
            connection.execute("SET LOCAL statement_timeout = 0")
            _check_empty(connection)
            counts = {
                name: _copy(connection, name, columns, kept.execute(asked))
                for name, (columns, asked) in TABLES.items()
            }
            connection.execute(NEXT)
            row = connection.execute(
                "SELECT count(*) AS left FROM turnline_accepted WHERE state IS NULL"
            ).fetchone()
    unfinished = int(row["left"]) if row else 0
    return Moved(counts["conversations"], counts["turns"], counts["accepted"], unfinished)


def _check_empty(connection: Connection) -> None:
    for name in TABLES:
        table = sql.Identifier(f"turnline_{name}")
        if connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(table)).fetchone():
            raise NotEmpty(NotEmpty.__doc__)


def _copy(connection: Connection, name: str, columns: tuple[str, ...], rows: Iterable[Any]) -> int:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(f"turnline_{name}"), names)
    count = 0
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        for values in _values(columns, rows):
            copy.write_row(values)
            count += 1
    return count


def _values(columns: tuple[str, ...], rows: Iterable[Any]) -> Iterator[list[Any]]:
    are_texts = [column in TEXTS for column in columns]
    for row in rows:
        yield [
            value.encode() if is_text and value is not None else value
            for is_text, value in zip(are_texts, row, strict=True)
        ]
