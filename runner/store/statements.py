"""What the SQLite store reads and writes: each function is one step on a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from runner.agents.base import Message
from runner.store import schema
from runner.store.base import AcceptedTurn, Ending, Record
from strategies import State

# History.


def history(connection: sqlite3.Connection, conversation: str, count: int) -> list[Message]:
    turns = -1 if count == 0 else (count + 1) // 2
    rows = connection.execute(schema.LAST, (conversation, turns)).fetchall()
    messages: list[Message] = []
    for message, reply in reversed(rows):
        messages.append({"role": "user", "content": message})
        messages.append({"role": "assistant", "content": reply})
    return messages[-count:]


def commit(connection: sqlite3.Connection, record: Record) -> int:
    values = {
        "conversation": record.conversation,
        "turn_id": record.turn_id,
        "message": record.message,
        "reply": record.reply,
        "state": record.state,
    }
    with closing(connection.execute(schema.COMMIT, values)) as cursor:
        ((number,),) = cursor.fetchall()
    for turn_id in record.answers or (record.turn_id,):
        answer = {"id": turn_id, "state": record.state, "number": number}
        connection.execute(schema.ANSWER, answer)
    return int(number)


def conversations(connection: sqlite3.Connection, prefix: str) -> Mapping[str, int]:
    return dict(connection.execute(schema.CONVERSATIONS, {"prefix": prefix}).fetchall())


def forget(connection: sqlite3.Connection, conversation: str) -> None:
    for statement in schema.FORGET:
        connection.execute(statement, (conversation,))


# Accepted turns.


def accept(connection: sqlite3.Connection, turn: AcceptedTurn) -> None:
    values = (
        turn.id, turn.conversation, turn.message, turn.accepted_at, turn.deadline_at,
        turn.priority, turn.strategy, turn.key, turn.digest,
    )  # fmt: skip
    connection.execute(schema.ACCEPT, values)


def begin(connection: sqlite3.Connection, turn_ids: Sequence[str]) -> None:
    for turn_id in turn_ids:
        if connection.execute(schema.BEGIN, (turn_id,)).rowcount != 1:
            raise sqlite3.IntegrityError(f"turn {turn_id} is not written down")


def end(connection: sqlite3.Connection, turn_id: str, ending: Ending) -> None:
    values = {
        "id": turn_id,
        "state": ending.state,
        "cause": ending.cause,
        "detail": ending.detail,
        "outcome": ending.outcome,
        "retry_after_s": ending.retry_after_s,
        "waited_s": ending.waited_s,
        "ran_s": ending.ran_s,
    }
    connection.execute(schema.END, values)


def find(connection: sqlite3.Connection, turn_id: str) -> AcceptedTurn | None:
    for row in connection.execute(schema.FIND, (turn_id,)).fetchall():
        return _accepted(row)
    for row in connection.execute(schema.FIND_COMMITTED, (turn_id,)).fetchall():
        conversation, at, state, reply, number = row
        ending = Ending(State(state), reply, number)
        return AcceptedTurn(turn_id, conversation, "", at, ending=ending)
    return None


def unfinished(connection: sqlite3.Connection) -> list[AcceptedTurn]:
    return [_accepted(row) for row in connection.execute(schema.UNFINISHED).fetchall()]


def keyed(connection: sqlite3.Connection) -> list[AcceptedTurn]:
    return [_accepted(row) for row in connection.execute(schema.KEYED).fetchall()]


def prune(connection: sqlite3.Connection, before: float, most: int) -> None:
    connection.execute(schema.PRUNE, {"before": before, "most": most})


def _accepted(row: Sequence[Any]) -> AcceptedTurn:
    """The columns of the statements are in the order of the fields, the ending's last."""
    turn, (state, reply, number, cause, detail, outcome, *times) = row[:10], row[10:]
    if state is None:
        return AcceptedTurn(*turn)
    retry_after_s, waited_s, ran_s = times
    ending = Ending(
        State(state),
        reply,
        number or 0,
        cause,
        detail or "",
        outcome or "unknown",
        retry_after_s,
        waited_s or 0.0,
        ran_s or 0.0,
    )
    return replace(AcceptedTurn(*turn), ending=ending)
