"""The tables of the line: Procrastinate's, and ours beside them."""

from __future__ import annotations

from importlib import resources

from procrastinate.schema import SchemaManager

from runner.store.postgres import moving
from runner.store.postgres.connection import (
    Connection,
    connect,
    parameters_of,
    place_of,
    store_errors,
)
from runner.store.postgres.schema import MINE


def make_ready(url: str) -> int:
    """Bring all tables to the newest version, which this gives. Raises StoreUnavailable."""
    version = moving.make_ready(url)
    parameters = parameters_of(url)
    with store_errors(place_of(parameters)), connect(parameters) as connection:
        with connection.transaction():
            install(connection)
    return version


def install(db: Connection) -> None:
    """Procrastinate's tables and ours beside them, where they are not there yet."""
    db.execute(f"SELECT pg_advisory_xact_lock({MINE} + 1)")
    if not _has(db, "procrastinate_jobs"):
        db.execute(SchemaManager.get_schema().encode())
    if not _has(db, "turnline_line"):
        db.execute((resources.files("runner.engine") / "line.sql").read_bytes())


def _has(db: Connection, table: str) -> bool:
    row = db.execute("SELECT to_regclass(%s) AS found", (table,)).fetchone()
    return row is not None and row["found"] is not None
