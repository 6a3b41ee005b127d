"""What the SQLite store reads and writes: each function is one step on a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from runner.store.base import AcceptedTurn, Ending, Record
from strategies import State

# History. Numbers count from 1 without a gap, so the last one is how many there are.


def last_number(connection: sqlite3.Connection, conversation: str) -> int:
    sql = "SELECT max(number) AS number FROM turns WHERE conversation = ?"
    return int(connection.execute(sql, (conversation,)).fetchone()["number"] or 0)


def turns(
    connection: sqlite3.Connection, conversation: str, first: int, last: int
) -> list[sqlite3.Row]:
    sql = """
        SELECT message, reply FROM turns
        WHERE conversation = ? AND number BETWEEN ? AND ? ORDER BY number
    """
    found = connection.execute(sql, (conversation, first, last)).fetchall()
    if len(found) != last + 1 - first:
        raise sqlite3.DataError("the conversation was forgotten while it was read")
    return found


def commit(connection: sqlite3.Connection, record: Record) -> int:
    number = last_number(connection, record.conversation) + 1
    if number == 1:
        connection.execute("INSERT INTO conversations (id) VALUES (?)", (record.conversation,))
    sql = """
        INSERT INTO turns (conversation, id, message, reply, state, number)
        VALUES (?, ?, ?, ?, ?, ?)
    """
    conversation, message = record.conversation, record.message
    values = (conversation, record.turn_id, message, record.reply, record.state, number)
    connection.execute(sql, values)
    sql = "UPDATE accepted SET state = ?, number = ? WHERE id = ? AND state IS NULL"
    for turn_id in record.answers or (record.turn_id,):
        connection.execute(sql, (record.state, number, turn_id))
    return number


def conversations(
    connection: sqlite3.Connection, prefix: str, limit: int, without: str | None
) -> tuple[Mapping[str, int], int]:
    """A range of the index is all that is read; no id has a U+10FFFF."""
    where = """
        FROM conversations WHERE id BETWEEN :prefix AND :prefix || char(0x10ffff)
        AND (:without IS NULL OR instr(substr(id, length(:prefix) + 1), :without) = 0)
    """
    values = {"prefix": prefix, "limit": limit or -1, "without": without}
    sql = f"SELECT id {where} ORDER BY id LIMIT :limit"
    shown = [row["id"] for row in connection.execute(sql, values)]
    total = connection.execute(f"SELECT count(*) AS total {where}", values).fetchone()["total"]
    return {name: last_number(connection, name) for name in shown}, total


def forget(connection: sqlite3.Connection, conversation: str) -> None:
    connection.execute("DELETE FROM turns WHERE conversation = ?", (conversation,))
    connection.execute("DELETE FROM conversations WHERE id = ?", (conversation,))
    sql = "DELETE FROM accepted WHERE conversation = ? AND state IS NOT NULL"
    connection.execute(sql, (conversation,))


# Accepted turns.


def accept(connection: sqlite3.Connection, turn: AcceptedTurn) -> None:
    sql = """
        INSERT INTO accepted (
            id, conversation, message, accepted_at, deadline_at, priority, strategy, key, digest
        ) VALUES (
            :id, :conversation, :message, :accepted_at, :deadline_at, :priority, :strategy,
            :key, :digest
        )
    """
    connection.execute(sql, {name: getattr(turn, name) for name in TURN})


def begin(connection: sqlite3.Connection, turn_ids: Sequence[str]) -> None:
    sql = "UPDATE accepted SET attempts = attempts + 1 WHERE id = ?"
    for turn_id in turn_ids:
        if connection.execute(sql, (turn_id,)).rowcount != 1:
            raise sqlite3.IntegrityError(f"turn {turn_id} is not written down")


def end(connection: sqlite3.Connection, turn_id: str, ending: Ending) -> None:
    sql = """
        UPDATE accepted SET
            state = :state, cause = :cause, detail = :detail, outcome = :outcome,
            retry_after_s = :retry_after_s, waited_s = :waited_s, ran_s = :ran_s
        WHERE id = :id AND state IS NULL
    """
    connection.execute(sql, {"id": turn_id, **{name: getattr(ending, name) for name in ENDING}})


def find(connection: sqlite3.Connection, turn_id: str) -> AcceptedTurn | None:
    sql = """
        SELECT a.*, t.reply FROM accepted AS a
        LEFT JOIN turns AS t ON t.conversation = a.conversation AND t.number = a.number
        WHERE a.id = ?
    """
    row = connection.execute(sql, (turn_id,)).fetchone()
    if row is not None:
        return _accepted(row)
    sql = """
        SELECT conversation, unixepoch(created_at) AS at, state, reply, number
        FROM turns WHERE id = ?
    """
    row = connection.execute(sql, (turn_id,)).fetchone()
    if row is None:
        return None
    ending = Ending(State(row["state"]), row["reply"], row["number"])
    return AcceptedTurn(turn_id, row["conversation"], "", row["at"], ending=ending)


def unfinished(connection: sqlite3.Connection) -> list[AcceptedTurn]:
    sql = "SELECT *, NULL AS reply FROM accepted WHERE state IS NULL ORDER BY sequence"
    return [_accepted(row) for row in connection.execute(sql)]


def keyed(connection: sqlite3.Connection) -> list[AcceptedTurn]:
    sql = "SELECT *, NULL AS reply FROM accepted WHERE key IS NOT NULL ORDER BY sequence"
    return [replace(_accepted(row), message="") for row in connection.execute(sql)]


def surplus(connection: sqlite3.Connection, most: int) -> tuple[float, int]:
    """Which turn that has ended is the last one too many: when it was accepted, its place."""
    sql = """
        SELECT accepted_at, sequence FROM accepted WHERE state IS NOT NULL
        ORDER BY accepted_at DESC, sequence DESC LIMIT 1 OFFSET ?
    """
    row = connection.execute(sql, (most,)).fetchone()
    return (0.0, 0) if row is None else tuple(row)


def prune(connection: sqlite3.Connection, before: float, upto: tuple[float, int]) -> None:
    sql = """
        DELETE FROM accepted
        WHERE state IS NOT NULL AND (accepted_at, sequence) <= (?, ?)
    """
    connection.execute(sql, upto)
    sql = "DELETE FROM accepted WHERE state IS NOT NULL AND accepted_at < ?"
    connection.execute(sql, (before,))


TURN = [field.name for field in fields(AcceptedTurn) if field.name != "ending"]
ENDING = [field.name for field in fields(Ending)]


def _accepted(row: sqlite3.Row) -> AcceptedTurn:
    """The columns go by the names of the fields; NULL is a field's default."""
    turn = AcceptedTurn(**{name: row[name] for name in TURN})
    if row["state"] is None:
        return turn
    known: dict[str, Any] = {name: row[name] for name in ENDING if row[name] is not None}
    known["state"] = State(row["state"])
    return replace(turn, ending=Ending(**known))
