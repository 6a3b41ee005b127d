"""Databases of a Postgres server, one for each run: made before it, and dropped after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg


@contextmanager
def fresh(server: str) -> Iterator[str]:
    """The URL of a new database on the server that this URL names. Raises psycopg.Error.

    Not a schema of one: what a process notifies is heard in all of its database.
    """
    name = f"turnline_{token_hex(6)}"
    _execute(server, f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        # A process that was killed may still be connected.
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def version(server: str) -> str:
    """The server's, such as `18.4`. Raises psycopg.Error."""
    ((found,),) = _execute(server, "SHOW server_version")
    return str(found).split()[0]


def _execute(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []
