"""Conversations out of a Postgres store, while servers have it or not, and into one."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import count
from typing import Any

from psycopg import sql
from psycopg.errors import UniqueViolation

from runner.store.archive import KeptConversation, KeptTurn
from runner.store.base import AcceptedTurn, AgentState, IdTaken
from runner.store.postgres import schema
from runner.store.postgres.connection import (
    READ_ONLY,
    Connection,
    connect,
    place_of,
    store_errors,
)
from runner.store.postgres.rows import ended_values, said_in, turn_of, values_of
from strategies import State

AT_ONCE = 100
"""Rows that are fetched at once: each may have a megabyte."""

CONVERSATION = """
    INSERT INTO turnline_conversations (id, last, said, last_at) VALUES (%s, %s, %s, %s)
    ON CONFLICT (id) DO NOTHING
"""


@contextmanager
def snapshot(parameters: Mapping[str, Any]) -> Generator[PostgresSnapshot]:
    """As `Store.snapshot`: one transaction that only reads, on a connection of its own."""
    about = place_of(parameters)
    with store_errors(about):
        connection = connect({**parameters, "options": f"{READ_ONLY} {parameters['options']}"})
    with closing(connection):
        with store_errors(about):
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SET LOCAL statement_timeout = 0")
            schema.check(connection)
        yield PostgresSnapshot(connection)


class PostgresSnapshot:
    """What the transaction sees that is open on this connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._serial = count()

    def names(self) -> Iterator[str]:
        for row in self._rows("SELECT id FROM turnline_conversations ORDER BY id"):
            yield row["id"]

    def conversation(self, name: str) -> KeptConversation | None:
        with store_errors():
            asked = "SELECT last, said FROM turnline_conversations WHERE id = %s"
            row = self._connection.execute(asked, (name,)).fetchone()
            if row is None:
                return None
            asked = """
                SELECT form, state, requests, before FROM turnline_agent_states
                WHERE conversation = %s ORDER BY form
            """
            found = self._connection.execute(asked, (name,), binary=True)
            states = tuple(AgentState(**left) for left in found)
        return KeptConversation(name, row["last"], row["said"], states, self._parts(name))

    def unfinished(self) -> list[str]:
        asked = "SELECT conversation FROM turnline_accepted WHERE state IS NULL ORDER BY sequence"
        return [row["conversation"] for row in self._rows(asked)]

    def _parts(self, name: str) -> Iterator[KeptTurn | AcceptedTurn]:
        merged: dict[int, list[str]] = {}
        for row in self._rows(
            "SELECT number, id FROM turnline_merged WHERE conversation = %s ORDER BY id", name
        ):
            merged.setdefault(row["number"], []).append(row["id"])
        for row in self._rows(
            "SELECT * FROM turnline_turns WHERE conversation = %s ORDER BY number", name
        ):
            yield _kept_turn(row, merged.get(row["number"], ()))
        asked = """
            SELECT * FROM turnline_accepted
            WHERE conversation = %s AND state IS NOT NULL ORDER BY sequence
        """
        for row in self._rows(asked, name):
            yield turn_of(row)

    def _rows(self, asked: str, *values: object) -> Iterator[Mapping[str, Any]]:
        """By a cursor of the server's: it gives them bit by bit."""
        cursor = self._connection.cursor(f"rows{next(self._serial)}", binary=True)
        with store_errors(), cursor:
            cursor.itersize = AT_ONCE
            cursor.execute(asked.encode(), values)
            yield from cursor


def restore(db: Connection, conversations: Iterable[KeptConversation]) -> list[str]:
    """As `Store.restore`, in the transaction that is open."""
    existing: list[str] = []
    for conversation in conversations:
        try:
            is_new = _restore(db, conversation)
        except UniqueViolation as error:
            raise IdTaken(f"{conversation.id}: {IdTaken.__doc__}") from error
        if not is_new:
            existing.append(conversation.id)
    return existing


def _restore(db: Connection, conversation: KeptConversation) -> bool:
    """False where it has a history already."""
    row = (conversation.id, conversation.last, conversation.said, 0.0)
    if not db.execute(CONVERSATION, row).rowcount:
        return False
    last_at = 0.0
    with db.pipeline():  # Nothing is waited for until all of it is on its way.
        for part in conversation.parts:
            if isinstance(part, KeptTurn):
                _insert_turn(db, conversation.id, part)
                last_at = part.kept_at
            else:
                _insert(db, "accepted", _accepted_row(part))
        for left in conversation.states:
            values = {name: getattr(left, name) for name in AgentState.__slots__}
            _insert(db, "agent_states", {"conversation": conversation.id, **values})
        asked = "UPDATE turnline_conversations SET last_at = %s WHERE id = %s"
        db.execute(asked, (last_at, conversation.id))
    return True


def _insert_turn(db: Connection, conversation: str, turn: KeptTurn) -> None:
    row = {
        "conversation": conversation,
        "number": turn.number,
        "id": turn.id,
        "message": turn.message.encode(),
        "reply": turn.reply.encode(),
        "created_at": turn.kept_at,
        "state": turn.state.value,
        "output": turn.output,
        "requests": turn.requests,
    }
    _insert(db, "turns", row)
    for turn_id in turn.merged:
        row = {"id": turn_id, "conversation": conversation, "number": turn.number}
        _insert(db, "merged", row)


def _insert(db: Connection, table: str, row: Mapping[str, object]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, row))
    values = sql.SQL(", ").join(map(sql.Placeholder, row))
    into = sql.Identifier(f"turnline_{table}")
    db.execute(sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(into, names, values), row)


def _kept_turn(row: Mapping[str, Any], merged: Iterable[str]) -> KeptTurn:
    return KeptTurn(
        row["number"], row["id"], *said_in(row), row["created_at"], State(row["state"]),
        row["output"], row["requests"], tuple(merged),
    )  # fmt: skip


def _accepted_row(turn: AcceptedTurn) -> dict[str, Any]:
    row = values_of(turn)
    if turn.ending is not None:
        row |= ended_values(turn.id, turn.ending)
    return row
