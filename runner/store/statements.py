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
    sql = """
        INSERT INTO turns (conversation, number, id, message, reply, state)
        VALUES (?, ?, ?, ?, ?, ?)
    """
    connection.execute(
        sql,
        (
            record.conversation, number, record.turn_id,
            record.message, record.reply, record.state,
        ),
    )  # fmt: skip
    sql = "UPDATE accepted SET state = ?, number = ? WHERE id = ? AND state IS NULL"
    for turn_id in record.answers or (record.turn_id,):
        connection.execute(sql, (record.state, number, turn_id))
    return number


def conversations(
    connection: sqlite3.Connection, prefix: str, limit: int, without: str | None
) -> tuple[Mapping[str, int], int]:
    """From name to name by the index, past all turns between; no name has a U+10FFFF."""
    names = """
        WITH RECURSIVE every (name) AS (
            SELECT min(conversation) FROM turns WHERE conversation BETWEEN :prefix AND :end
            UNION ALL
            SELECT (
                SELECT min(conversation) FROM turns
                WHERE conversation > name AND conversation <= :end
            ) FROM every WHERE name IS NOT NULL
        ), names (name) AS (
            SELECT name FROM every WHERE name IS NOT NULL
            AND (:without IS NULL OR instr(substr(name, length(:prefix) + 1), :without) = 0)
        )
    """
    values = {
        "prefix": prefix, "end": prefix + "\U0010ffff", "limit": limit or -1, "without": without,
    }  # fmt: skip
    sql = f"""
        {names} SELECT name, (SELECT max(number) FROM turns WHERE conversation = name) AS number
        FROM names LIMIT :limit
    """
    shown = {row["name"]: row["number"] for row in connection.execute(sql, values)}
    sql = f"{names} SELECT count(*) AS total FROM names"
    return shown, connection.execute(sql, values).fetchone()["total"]


def forget(connection: sqlite3.Connection, conversation: str) -> None:
    connection.execute("DELETE FROM turns WHERE conversation = ?", (conversation,))
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


def prune(connection: sqlite3.Connection, before: float, most: int) -> None:
    sql = "DELETE FROM accepted WHERE state IS NOT NULL AND accepted_at < ?"
    connection.execute(sql, (before,))
    sql = """
        SELECT accepted_at, sequence FROM accepted WHERE state IS NOT NULL
        ORDER BY accepted_at DESC, sequence DESC LIMIT 1 OFFSET ?
    """
    surplus = connection.execute(sql, (most,)).fetchone()
    if surplus is not None:
        sql = """
            DELETE FROM accepted
            WHERE state IS NOT NULL AND (accepted_at, sequence) <= (?, ?)
        """
        connection.execute(sql, tuple(surplus))


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
