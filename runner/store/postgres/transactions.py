"""One transaction for several writes, and what became of it when the connection was lost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal, cast

import psycopg

from runner.agents.threads import Outcome
from runner.store.base import NothingKept, StoreUnavailable
from runner.store.line import Write, fail, failed
from runner.store.postgres.connection import Connection, is_lost

ALONE = (psycopg.Error, UnicodeError, StoreUnavailable)
"""With these a write fails by itself."""

Status = Literal["committed", "aborted", "in progress"]


class ConnectionLost(Exception):
    """The connection was lost before COMMIT was sent, so nothing was kept."""


class InDoubt(Exception):
    """The connection was lost amid COMMIT. `xid` is the transaction's."""

    def __init__(self, xid: str) -> None:
        super().__init__(f"COMMIT of transaction {xid} was not answered")
        self.xid = xid


def transact(connection: Connection, writes: Sequence[Write]) -> None:
    """Do all or none of them, but that one that fails, fails alone; each is given its outcome.

    Raises ConnectionLost, InDoubt: then they have none.
    """
    try:
        xid = _do(connection, writes)
    except BaseException as error:
        if is_lost(connection, error):
            raise ConnectionLost from error
        fail(writes, error, NothingKept)
        with suppress(psycopg.Error):  # Or the connection is found to be lost the next time.
            connection.execute("ROLLBACK")
        return
    try:
        _commit(connection)
    except BaseException as error:
        if is_lost(connection, error):
            raise InDoubt(xid) from error
        fail(writes, error, NothingKept)


def status_of(connection: Connection, xid: str) -> Status | None:
    """What became of a transaction; None where the server does not remember it."""
    sql = "SELECT pg_xact_status(%s::xid8) AS status"
    row = connection.execute(sql, (xid,)).fetchone()
    return cast("Status | None", row and row["status"])


def settle(connection: Connection, writes: Sequence[Write], status: Status | None) -> None:
    """Give each the outcome that this status of their transaction means."""
    doubt = ConnectionError("the connection was lost amid COMMIT")
    if status == "aborted":
        fail(writes, doubt, NothingKept)
        return
    for write in writes:
        if write.outcome[1] is None and not (
            status == "committed" and _is_there(connection, write)
        ):
            write.outcome = failed(doubt, StoreUnavailable)


def _is_there(connection: Connection, write: Write) -> bool:
    """Another server may have taken over, and have given the same number to something else."""
    return write.ask is None or write.ask(connection) is not None


def _do(connection: Connection, writes: Sequence[Write]) -> str:
    """The steps of a transaction that is then open; gives its id.

    Savepoints would double the round trips, so they are there only where a step has failed.
    """
    xid = _begin(connection)
    try:
        for write in writes:
            write.outcome = write.step(connection), None
    except ALONE as error:
        if len(writes) == 1 or is_lost(connection, error):
            raise
        connection.execute("ROLLBACK")
        xid = _begin(connection)
        for write in writes:
            write.outcome = _try(write, connection)
    return xid


def _begin(connection: Connection) -> str:
    """Gives the transaction's id, in the same round trip."""
    cursor = connection.execute("BEGIN; SELECT pg_current_xact_id()::text AS xid", prepare=False)
    cursor.nextset()
    row = cursor.fetchone()
    assert row is not None
    return str(row["xid"])


def _commit(connection: Connection) -> None:
    # Of a transaction in which something failed, COMMIT is answered by ROLLBACK.
    if connection.execute("COMMIT", prepare=False).statusmessage != "COMMIT":
        raise psycopg.OperationalError("the transaction was rolled back")


def _try(write: Write, connection: Connection) -> Outcome:
    connection.execute("SAVEPOINT step")
    outcome: tuple[Any, BaseException | None]
    try:
        outcome = write.step(connection), None
    except ALONE as error:
        if is_lost(connection, error):
            raise
        connection.execute("ROLLBACK TO step")
        outcome = failed(error, NothingKept)
    connection.execute("RELEASE step")
    return outcome
