"""History and accepted turns in one SQLite file: they survive the process, however that ends.

One row holds a turn, message and reply together, so a turn is there wholly or not at all.
Numbers count from 1 without a gap, so the last one is how many there are.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import fields, replace
from functools import wraps
from pathlib import Path
from sqlite3 import Connection, IntegrityError, Row
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from runner.agents.base import Message
from runner.agents.threads import Outcome, given, until_done
from runner.store.base import AcceptedTurn, Ending, Record
from runner.store.database import Database, store_errors
from runner.store.history import History
from strategies import State

P = ParamSpec("P")
T = TypeVar("T")
Step = Callable[Concatenate["SqliteStore", Connection, P], T]
Way = Callable[[Database, Callable[[Connection], object]], Future[Outcome]]
Method = Callable[Concatenate["SqliteStore", P], Coroutine[Any, Any, T]]


def _reads(step: Step[P, T]) -> Method[P, T]:
    """The method that does this step on a connection that reads."""
    return _method(step, Database.read)


def _writes(step: Step[P, T]) -> Method[P, T]:
    """The method that does this step in a transaction."""
    return _method(step, Database.write)


def _method(step: Step[P, T], way: Way) -> Method[P, T]:
    @wraps(step)
    async def method(store: SqliteStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with store_errors():
            done = await way(store.database, lambda db: step(store, db, *args, **kwargs))
            return cast("T", given(done))

    return method


class SqliteStore:
    """What is kept in the file at `path`."""

    durable = True

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self.open = self.database.open
        self.close = self.database.close

    # History.

    def history(self, conversation: str, turns: int | None = None) -> History:
        return History(self, conversation, turns)

    def span(self, conversation: str) -> tuple[int, int]:
        return 1, self.database.read_here(lambda db: _last_number(db, conversation))

    def read(self, conversation: str, first: int, last: int) -> Sequence[Row]:
        sql = """
            SELECT message, reply FROM turns
            WHERE conversation = ? AND number BETWEEN ? AND ? ORDER BY number
        """
        values = (conversation, first, last)
        return cast(
            "list[Row]", self.database.read_here(lambda db: db.execute(sql, values).fetchall())
        )

    @_reads
    def messages(self, _: Connection, conversation: str, count: int = 0) -> list[Message]:
        return self.history(conversation)[-count:]

    async def commit(self, record: Record) -> int:
        committed = self.database.write(lambda db: _commit(db, record))
        await until_done(committed)
        with store_errors():
            return int(given(committed.result()))

    @_reads
    def turns(self, db: Connection, conversation: str) -> int:
        return _last_number(db, conversation)

    @_reads
    def conversations(
        self, db: Connection, prefix: str, limit: int
    ) -> tuple[Mapping[str, int], int]:
        # A range of the index is all that is read; no id has a U+10FFFF.
        where = """
            FROM conversations WHERE id BETWEEN :prefix AND :prefix || char(0x10ffff)
            AND instr(substr(id, length(:prefix) + 1), '/') = 0
        """
        values = {"prefix": prefix, "limit": limit or -1}
        rows = db.execute(f"SELECT id {where} ORDER BY id LIMIT :limit", values)
        shown = {row["id"]: _last_number(db, row["id"]) for row in rows}
        total = db.execute(f"SELECT count(*) AS total {where}", values).fetchone()["total"]
        return shown, total

    @_writes
    def forget(self, db: Connection, conversation: str) -> None:
        for sql in (
            "DELETE FROM turns WHERE conversation = ?",
            "DELETE FROM conversations WHERE id = ?",
            "DELETE FROM accepted WHERE conversation = ? AND state IS NOT NULL",
        ):
            db.execute(sql, (conversation,))

    # Accepted turns.

    @_writes
    def accept(self, db: Connection, turn: AcceptedTurn) -> None:
        sql = f"INSERT INTO accepted ({', '.join(TURN)}) VALUES (:{', :'.join(TURN)})"
        db.execute(sql, _values(turn, TURN))

    @_writes
    def begin(self, db: Connection, turn_ids: Sequence[str]) -> None:
        sql = "UPDATE accepted SET attempts = attempts + 1 WHERE id = ?"
        for turn_id in turn_ids:
            if db.execute(sql, (turn_id,)).rowcount != 1:
                raise IntegrityError(f"turn {turn_id} is not written down")

    @_writes
    def end(self, db: Connection, turn_id: str, ending: Ending) -> None:
        columns = ", ".join(f"{name} = :{name}" for name in ENDING)
        sql = f"UPDATE accepted SET {columns} WHERE id = :id AND state IS NULL"
        db.execute(sql, {"id": turn_id, **_values(ending, ENDING)})

    @_reads
    def find(self, db: Connection, turn_id: str) -> AcceptedTurn | None:
        accepted = """
            SELECT a.*, t.reply FROM accepted AS a
            LEFT JOIN turns AS t ON t.conversation = a.conversation AND t.number = a.number
            WHERE a.id = ?
        """
        only_in_history = """
            SELECT id, conversation, '' AS message, unixepoch(created_at) AS accepted_at,
            state, reply, number FROM turns WHERE id = ?
        """
        for sql in (accepted, only_in_history):
            for row in db.execute(sql, (turn_id,)):
                return _accepted(row)
        return None

    @_reads
    def unfinished(self, db: Connection) -> list[AcceptedTurn]:
        sql = "SELECT * FROM accepted WHERE state IS NULL ORDER BY sequence"
        return [_accepted(row) for row in db.execute(sql)]

    @_reads
    def keyed(self, db: Connection) -> list[AcceptedTurn]:
        sql = "SELECT * FROM accepted WHERE key IS NOT NULL ORDER BY sequence"
        return [replace(_accepted(row), message="") for row in db.execute(sql)]

    @_writes
    def prune(self, db: Connection, before: float, most: int) -> None:
        sql = "DELETE FROM accepted WHERE state IS NOT NULL AND accepted_at < ?"
        db.execute(sql, (before,))
        sql = """
            DELETE FROM accepted WHERE sequence IN (
                SELECT sequence FROM accepted WHERE state IS NOT NULL
                ORDER BY accepted_at DESC, sequence DESC LIMIT -1 OFFSET ?
            )
        """
        db.execute(sql, (most,))


def _last_number(db: Connection, conversation: str) -> int:
    sql = "SELECT max(number) AS number FROM turns WHERE conversation = ?"
    return int(db.execute(sql, (conversation,)).fetchone()["number"] or 0)


def _commit(db: Connection, record: Record) -> int:
    number = _last_number(db, record.conversation) + 1
    if number == 1:
        db.execute("INSERT INTO conversations (id) VALUES (?)", (record.conversation,))
    sql = """
        INSERT INTO turns (conversation, id, message, reply, state, number)
        VALUES (:conversation, :turn_id, :message, :reply, :state, :number)
    """
    db.execute(sql, {**_values(record, RECORD), "number": number})
    sql = "UPDATE accepted SET state = ?, number = ? WHERE id = ? AND state IS NULL"
    for turn_id in record.answers or (record.turn_id,):
        db.execute(sql, (record.state, number, turn_id))
    return number


# Rows: the columns go by the names of the fields, and NULL is a field's default.

RECORD = ("conversation", "turn_id", "message", "reply", "state")
TURN = [field.name for field in fields(AcceptedTurn) if field.name != "ending"]
ENDING = [field.name for field in fields(Ending) if field.name != "reply"]


def _values(one: object, names: Sequence[str]) -> dict[str, object]:
    return {name: getattr(one, name) for name in names}


def _accepted(row: Row) -> AcceptedTurn:
    known: dict[str, Any] = {name: value for name, value in dict(row).items() if value is not None}
    turn = AcceptedTurn(**{name: known[name] for name in TURN if name in known})
    if "state" not in known:
        return turn
    known["state"] = State(known["state"])
    names = [name for name in (*ENDING, "reply") if name in known]
    return replace(turn, ending=Ending(**{name: known[name] for name in names}))
