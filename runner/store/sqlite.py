"""History and accepted turns in one SQLite file: they survive the process, however that ends.

One row holds a turn, message and reply together, so a turn is there wholly or not at all.
Numbers count from 1 without a gap, so the last one is how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path
from sqlite3 import Connection, IntegrityError, Row
from typing import Any

from runner.agents.base import Message
from runner.store import sqlite_archive
from runner.store.archive import KeptConversation, Snapshot
from runner.store.base import (
    AcceptedTurn,
    AgentState,
    Ending,
    NothingKept,
    Place,
    Record,
    StoreUnavailable,
)
from runner.store.database import Database
from runner.store.history import History
from runner.store.rows import ENDING, TURN, accepted
from runner.store.timing import Took, timed, untold

NOW = "(julianday('now') - 2440587.5) * 86400.0"
AT = "(julianday(created_at) - 2440587.5) * 86400.0"
"""In seconds since 1970."""

LAST_AT_S = 3_600
"""The `last_at` of a conversation is so much behind its last turn at most: most turns need not
write it."""

IS_IDLE = f"""
    last_at < :since
    AND (
        SELECT {AT} FROM turns WHERE conversation = c.id ORDER BY number DESC LIMIT 1
    ) < :since
    AND NOT EXISTS (
        SELECT 1 FROM accepted
        WHERE conversation = c.id AND (state IS NULL OR accepted_at >= :since)
    )
"""
"""Of a row `c` of `conversations`."""

MOST_STATELESS = 10_000
"""Conversations of which is known that nothing was left: most agents leave nothing."""

LONG = ("message", "more")
"""Columns that need not be read where all rows are."""

UNASKED = "message = '', more = NULL"
"""Of a turn that has ended: nobody runs it again, and its parts may be a megabyte."""


class SqliteStore:
    """What is kept in the file at `path`."""

    durable = available = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.database = Database(path)
        self.open = self.database.open
        self.close = self.database.close
        self.took: Took = untold
        self._stateless: dict[tuple[str, str], None] = {}

    @property
    def lost(self) -> bool:
        return self.database.lost

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
        return self.database.read_here(lambda db: db.execute(sql, values).fetchall())

    async def before(
        self, conversation: str, form: str, turns: int | None = None
    ) -> tuple[AgentState | None, History]:
        return await self.agent_state(conversation, form), self.history(conversation, turns)

    async def messages(self, conversation: str, count: int = 0) -> list[Message]:
        return await self.database.read(lambda _: self.history(conversation)[-count:])

    @timed("agent_state")
    async def agent_state(self, conversation: str, form: str) -> AgentState | None:
        name = conversation, form
        if name in self._stateless:
            return None
        sql = """
            SELECT form, state, requests, before FROM agent_states
            WHERE conversation = ? AND form = ?
        """
        row = self.database.read_here(lambda db: db.execute(sql, name).fetchone())
        if row is not None:
            return AgentState(*row)
        self._stateless[name] = None
        if len(self._stateless) > MOST_STATELESS:
            del self._stateless[next(iter(self._stateless))]
        return None

    @timed("commit")
    async def commit(self, record: Record) -> int:
        if record.left is not None:  # Whatever comes of the write.
            self._stateless.pop((record.conversation, record.left.form), None)
        return await self.database.write(
            lambda db: _commit(db, record),
            lambda db: _number_of(db, record.turn_id),
            though_cancelled=True,
        )

    @timed("find")
    async def said(self, digest: str, most: int) -> list[str]:
        sql = "SELECT id FROM conversations WHERE said = ? LIMIT ?"
        rows = self.database.read_here(lambda db: db.execute(sql, (digest, most)).fetchall())
        return [row["id"] for row in rows]

    @timed("find")
    async def turns(self, conversation: str) -> int:
        return self.database.read_here(lambda db: _last_number(db, conversation))

    @timed("find")
    async def conversations(self, prefix: str, limit: int) -> tuple[Mapping[str, int], int]:
        # A range of the index is all that is read; no id has a U+10FFFF.
        where = """
            FROM conversations WHERE id BETWEEN :prefix AND :prefix || char(0x10ffff)
            AND instr(substr(id, length(:prefix) + 1), '/') = 0
        """
        values = {"prefix": prefix, "limit": limit or -1}

        def read(db: Connection) -> tuple[Mapping[str, int], int]:
            rows = db.execute(f"SELECT id {where} ORDER BY id LIMIT :limit", values)
            shown = {row["id"]: _last_number(db, row["id"]) for row in rows}
            (total,) = db.execute(f"SELECT count(*) {where}", values).fetchone()
            return shown, total

        return await self.database.read(read)

    @timed("forget")
    async def forget(self, conversation: str, idle_since: float | None = None) -> bool:
        def write(db: Connection) -> bool:
            if idle_since is not None and not _is_idle(db, conversation, idle_since):
                return False
            db.execute("DELETE FROM turns WHERE conversation = ?", (conversation,))
            db.execute("DELETE FROM conversations WHERE id = ?", (conversation,))
            db.execute("DELETE FROM merged WHERE conversation = ?", (conversation,))
            db.execute("DELETE FROM agent_states WHERE conversation = ?", (conversation,))
            sql = "DELETE FROM accepted WHERE conversation = ? AND state IS NOT NULL"
            db.execute(sql, (conversation,))
            return True

        return await self.database.write(
            write, lambda db: not _last_number(db, conversation) or None, though_cancelled=True
        )

    async def idle(self, since: float, most: int) -> list[str]:
        sql = f"SELECT id FROM conversations AS c WHERE {IS_IDLE} ORDER BY last_at LIMIT :most"
        values = {"since": since, "most": most}
        return await self.database.read(lambda db: [row["id"] for row in db.execute(sql, values)])

    # Accepted turns.

    @timed("accept")
    async def accept(self, turn: AcceptedTurn) -> None:
        sql = f"INSERT INTO accepted ({', '.join(TURN)}) VALUES (:{', :'.join(TURN)})"
        values = {name: getattr(turn, name) for name in TURN}
        kept = "SELECT id FROM accepted WHERE id = ?"
        await self.database.write(
            lambda db: db.execute(sql, values).rowcount or None,
            lambda db: db.execute(kept, (turn.id,)).fetchone(),
        )

    @timed("begin")
    async def begin(self, turn_ids: Sequence[str]) -> None:
        sql = "UPDATE accepted SET attempts = attempts + 1 WHERE id = ?"

        def write(db: Connection) -> None:
            for turn_id in turn_ids:
                if db.execute(sql, (turn_id,)).rowcount != 1:
                    raise NothingKept(f"Turn {turn_id} is not written down.")

        await self.database.write(write)

    @timed("end")
    async def end(self, turn_id: str, ending: Ending) -> None:
        columns = ", ".join(f"{name} = :{name}" for name in ENDING)
        sql = f"UPDATE accepted SET {columns}, {UNASKED} WHERE id = :id AND state IS NULL"
        values = {"id": turn_id, **{name: getattr(ending, name) for name in ENDING}}
        await self.database.write(lambda db: db.execute(sql, values))

    @timed("find")
    async def find(self, turn_id: str) -> AcceptedTurn | None:
        with_row = """
            SELECT a.*, t.reply, t.output, t.requests FROM accepted AS a
            LEFT JOIN turns AS t ON t.conversation = a.conversation AND t.number = a.number
            WHERE a.id = ?
        """
        only_in_history = """
            SELECT id, conversation, '' AS message, unixepoch(created_at) AS accepted_at,
            state, reply, output, requests, number FROM turns WHERE id = ?
        """
        merged_with_others = """
            SELECT m.id, m.conversation, '' AS message, unixepoch(t.created_at) AS accepted_at,
            t.state, t.reply, t.output, t.requests, t.number FROM merged AS m
            JOIN turns AS t ON t.conversation = m.conversation AND t.number = m.number
            WHERE m.id = ?
        """

        def read(db: Connection) -> AcceptedTurn | None:
            for sql in (with_row, only_in_history, merged_with_others):
                if row := db.execute(sql, (turn_id,)).fetchone():
                    return accepted(dict(row))
            return None

        return await self.database.read(read)

    @timed("find")
    async def ended(
        self, conversation: str, before: Place | None, most: int
    ) -> tuple[list[Place], int]:
        every = f"""
            WITH answered AS (
                SELECT {AT} AS at, number, id FROM turns
                WHERE conversation = :conversation
            ), every AS (
                SELECT at, number, id FROM answered UNION ALL
                SELECT a.at, a.number, m.id FROM merged AS m JOIN answered AS a USING (number)
                WHERE m.conversation = :conversation UNION ALL
                SELECT accepted_at, 0, id FROM accepted
                WHERE conversation = :conversation AND state IS NOT NULL AND ifnull(number, 0) = 0
            )
        """
        at, number, turn_id = before or (inf, 0, "")
        values: dict[str, Any] = {"conversation": conversation, "most": most}
        values |= {"at": at, "number": number, "id": turn_id}
        some = """
            SELECT * FROM every WHERE (at, number, id) < (:at, :number, :id)
            ORDER BY at DESC, number DESC, id DESC LIMIT :most
        """

        def read(db: Connection) -> tuple[list[Place], int]:
            found = db.execute(f"{every} {some}", values)
            places = [(row["at"], row["number"], row["id"]) for row in found]
            (total,) = db.execute(f"{every} SELECT count(*) FROM every", values).fetchone()
            return places, total

        return await self.database.read(read)

    async def unfinished(self) -> list[AcceptedTurn]:
        sql = "SELECT * FROM accepted WHERE state IS NULL ORDER BY sequence"
        return await self.database.read(lambda db: [accepted(dict(row)) for row in db.execute(sql)])

    async def keyed(self) -> list[AcceptedTurn]:
        return await self._with("key")

    async def untold(self) -> list[AcceptedTurn]:
        return await self._with("webhook")

    async def hook(self, turn_id: str, webhook: str) -> bool:
        sql = "UPDATE accepted SET webhook = ? WHERE id = ? AND state IS NULL"
        return await self.database.write(
            lambda db: bool(db.execute(sql, (webhook, turn_id)).rowcount)
        )

    async def told(self, turn_id: str) -> None:
        sql = "UPDATE accepted SET webhook = NULL WHERE id = ?"
        await self.database.write(lambda db: db.execute(sql, (turn_id,)))

    async def _with(self, column: str) -> list[AcceptedTurn]:
        columns = ", ".join(name for name in (*TURN, *ENDING) if name not in LONG)
        sql = f"SELECT '' AS message, {columns} FROM accepted WHERE {column} IS NOT NULL"
        return await self.database.read(
            lambda db: [accepted(dict(row)) for row in db.execute(f"{sql} ORDER BY sequence")]
        )

    async def shift(self, by_s: float) -> None:
        sql = """
            UPDATE accepted
            SET accepted_at = accepted_at + :by_s, deadline_at = deadline_at + :by_s
        """
        await self.database.write(lambda db: db.execute(sql, {"by_s": by_s}))

    @timed("prune")
    async def prune(self, before: float, most: int) -> None:
        old = "SELECT sequence FROM accepted WHERE state IS NOT NULL AND accepted_at < ?"
        recent = "FROM accepted WHERE state IS NOT NULL AND accepted_at >= ?"
        newest_of_each = f"""
            SELECT sequence FROM (
                SELECT sequence, row_number() OVER (
                    PARTITION BY substr(conversation, 1, instr(conversation, '/'))
                    ORDER BY accepted_at DESC, sequence DESC
                ) AS place {recent}
            ) ORDER BY place, sequence DESC LIMIT -1 OFFSET ?
        """

        def read(db: Connection) -> list[tuple[int]]:
            surplus = [tuple(row) for row in db.execute(old, (before,))]
            (total,) = db.execute(f"SELECT count(*) {recent}", (before,)).fetchone()
            if total > most:
                surplus += [tuple(row) for row in db.execute(newest_of_each, (before, most))]
            return surplus

        # Found where it holds up no write: it is a look at all of them.
        if surplus := await self.database.read(read):
            sql = "DELETE FROM accepted WHERE sequence = ?"
            await self.database.write(lambda db: db.executemany(sql, surplus))

    # Export and import.

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        return sqlite_archive.snapshot(self._path)

    async def restore(self, conversations: Iterable[KeptConversation]) -> list[str]:
        try:
            return await self.database.write(lambda db: sqlite_archive.restore(db, conversations))
        finally:
            self._stateless.clear()


def _last_number(db: Connection, conversation: str) -> int:
    sql = "SELECT max(number) AS number FROM turns WHERE conversation = ?"
    return int(db.execute(sql, (conversation,)).fetchone()["number"] or 0)


def _is_idle(db: Connection, conversation: str, since: float) -> bool:
    sql = f"SELECT 1 FROM conversations AS c WHERE id = :id AND {IS_IDLE}"
    values = {"id": conversation, "since": since}
    return db.execute(sql, values).fetchone() is not None


def _number_of(db: Connection, turn_id: str) -> int | None:
    row = db.execute("SELECT number FROM turns WHERE id = ?", (turn_id,)).fetchone()
    return row and int(row["number"])


def _commit(db: Connection, record: Record) -> int:
    sql = f"""
        SELECT max(number) AS number,
        (SELECT said FROM conversations WHERE id = :id) IS NOT NULL AS is_found,
        (SELECT abs(last_at - {NOW}) < {LAST_AT_S} FROM conversations WHERE id = :id) AS is_recent
        FROM turns WHERE conversation = :id
    """
    last, is_found, is_recent = db.execute(sql, {"id": record.conversation}).fetchone()
    number = (last or 0) + 1
    if number == 1:
        sql = f"INSERT INTO conversations (id, said, last_at) VALUES (?, ?, {NOW})"
        db.execute(sql, (record.conversation, record.said))
        number += _begin_with(db, record)
    elif is_found or record.said is not None or not is_recent:
        sql = f"UPDATE conversations SET said = ?, last_at = {NOW} WHERE id = ?"
        db.execute(sql, (record.said, record.conversation))
    sql = """
        INSERT INTO turns (conversation, number, id, message, reply, state, output, requests)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    """
    said = (record.message, record.reply, record.state, record.output, record.requests)
    try:
        db.execute(sql, (record.conversation, number, record.turn_id, *said))
    except IntegrityError as error:
        raise StoreUnavailable(f"Turn {record.turn_id} is in the history already.") from error
    if (left := record.left) is not None:
        sql = "INSERT OR REPLACE INTO agent_states VALUES (?, ?, ?, ?, ?)"
        db.execute(sql, (record.conversation, left.form, left.state, left.requests, left.before))
    sql = f"""
        UPDATE accepted SET state = ?, number = ?, ran_s = ?, waited_s = ?, {UNASKED}
        WHERE id = ? AND state IS NULL
    """
    for turn_id in record.answers or (record.turn_id,):
        waited_s = record.waited_s.get(turn_id)
        db.execute(sql, (record.state, number, record.ran_s, waited_s, turn_id))
        if turn_id != record.turn_id:
            merged = "INSERT INTO merged (id, conversation, number) VALUES (?, ?, ?)"
            db.execute(merged, (turn_id, record.conversation, number))
    return number


def _begin_with(db: Connection, record: Record) -> int:
    """What was said elsewhere; gives how many turns that makes."""
    sql = "INSERT INTO turns (conversation, number, id, message, reply) VALUES (?, ?, ?, ?, ?)"
    turns = enumerate(record.before, 1)
    db.executemany(
        sql,
        ((record.conversation, place, record.id_before(place), *said) for place, said in turns),
    )
    return len(record.before)
