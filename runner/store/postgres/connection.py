"""Connections to a Postgres server: how they are made, and when one is lost."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, TypeGuard

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from runner.store.base import StoreUnavailable

Connection = psycopg.Connection[DictRow]

OURS = {
    "application_name": "turnline",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "tcp_user_timeout": "10000",
    "target_session_attrs": "primary",
}
"""Parameters that the user's URL may set otherwise: a silent server is noticed within 10 s."""

OPTIONS = (
    "-c statement_timeout=10s -c lock_timeout=5s "
    # A process that is stopped amid a transaction would hold up others for as long.
    "-c idle_in_transaction_session_timeout=3s "
    # The server too notices within 10 s that this machine is gone, and drops what it held.
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2"
)

READ_ONLY = "-c default_transaction_read_only=on"

UNREAD = "The store could not be read. Try again later."

NO_RIGHT = ". Let the owner of the schema run `runner migrate`, or grant this user its tables."

GONE = ("08", "57P", "25006")
"""How the SQLSTATE begins of what ends a connection; 25006: the server is a standby by now."""


def parameters_of(url: str) -> dict[str, Any]:
    """Of a connection. Raises psycopg.ProgrammingError, which may show parts of the URL."""
    theirs = conninfo_to_dict(url)
    # The last of several wins, so the user's come last.
    options = f"{OPTIONS} {theirs.get('options') or ''}".rstrip()
    return OURS | theirs | {"options": options, "client_encoding": "utf8"}


def place_of(parameters: Mapping[str, Any]) -> str:
    """Where that leads, for people: without the password."""
    host, port = parameters.get("host") or "", parameters.get("port")
    where = f"{host}:{port}" if port else host
    return f"postgresql://{where}/{parameters.get('dbname') or ''}"


def connect(parameters: Mapping[str, Any]) -> Connection:
    """Raises psycopg.Error."""
    return Connection.connect(**parameters, autocommit=True, row_factory=dict_row)


def is_lost(connection: Connection, error: BaseException) -> bool:
    """Whether the connection is of no use any more after this error."""
    return connection.closed or (is_gone(error) and error.sqlstate is not None)


def is_gone(error: BaseException | None) -> TypeGuard[psycopg.Error]:
    """Whether it says that the server cannot be reached."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:  # It is not the server that says so.
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(GONE)


@contextmanager
def store_errors(about: str | None = None) -> Generator[None]:
    """Turn what Postgres and the network raise into StoreUnavailable."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreUnavailable(f"{about}: {error}".rstrip() + NO_RIGHT) from error
    except (psycopg.Error, OSError, UnicodeError, MemoryError) as error:
        # A read that fails tells nothing of the turn that was asked for: the outcome is unknown.
        raise StoreUnavailable(f"{about}: {error}" if about else UNREAD) from error
