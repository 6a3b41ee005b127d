"""The tables: made, brought to the newest version, and held by one server alone.

They stand in the first schema of the search_path, under names that begin with `turnline_`.
"""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
from psycopg.rows import DictRow

from runner.store.base import StoreInUse
from runner.store.postgres.connection import Connection

_FILES = sorted((Path(__file__).parent / "migrations").glob("*.sql"))
MIGRATIONS = tuple(file.read_text() for file in _FILES)
"""What leads from each version of the tables to the next; an empty schema has version 0."""

MINE = "hashtextextended('turnline ' || current_schema(), 0)"
"""The advisory lock of who has the tables; beside it `+ 1`, of who changes them."""

IN_USE_S = 2.0
"""For so long another process may be about to end."""

AGAIN_S = 0.1


def prepare(connection: Connection) -> None:
    """Bring the tables to the newest version. Raises psycopg.Error."""
    with connection.transaction():
        # A big table takes its time, and no client waits yet.
        connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        connection.execute(f"SELECT pg_advisory_xact_lock({MINE} + 1)")
        version = version_of(connection)
        if version > len(MIGRATIONS):
            raise psycopg.DataError(f"it has schema {version}, of a newer version of the server")
        if version == len(MIGRATIONS):
            return
        for migration in MIGRATIONS[version:]:
            connection.execute(migration.encode())
        connection.execute("CREATE TABLE IF NOT EXISTS turnline_schema (version integer NOT NULL)")
        connection.execute("DELETE FROM turnline_schema")
        connection.execute("INSERT INTO turnline_schema VALUES (%s)", (len(MIGRATIONS),))


def check(connection: Connection) -> None:
    """Raises psycopg.DataError where the tables are not of this version."""
    version = version_of(connection)
    if not version:
        raise psycopg.DataError("it is no store of this program")
    if version != len(MIGRATIONS):
        raise psycopg.DataError(f"it has schema {version}, and this program {len(MIGRATIONS)}")


def version_of(connection: Connection) -> int:
    """That of the tables; 0 where there are none. Raises psycopg.Error."""
    found = "to_regclass(quote_ident(current_schema()) || '.turnline_schema')"
    row = connection.execute(f"SELECT current_schema() AS name, {found} AS found").fetchone()
    if _checked(row)["found"] is None:
        return 0
    row = connection.execute("SELECT version FROM turnline_schema").fetchone()
    return int(row["version"]) if row else 0


def take(connection: Connection) -> None:
    """Keep other servers out for as long as the connection lasts. Raises StoreInUse."""
    sql = f"SELECT current_schema() AS name, pg_try_advisory_lock({MINE}) AS mine"
    until = time.monotonic() + IN_USE_S
    while not _checked(connection.execute(sql).fetchone())["mine"]:
        if time.monotonic() > until:
            raise StoreInUse(StoreInUse.__doc__)
        time.sleep(AGAIN_S)


def _checked(row: DictRow | None) -> DictRow:
    if row is None or row["name"] is None:
        raise psycopg.DataError("no schema of the search_path is there: CREATE SCHEMA first")
    return row
