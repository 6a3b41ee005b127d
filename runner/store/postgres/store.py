"""History and accepted turns in a Postgres server: they survive this machine.

One row holds a turn, message and reply together, so a turn is there wholly or not at all.
Numbers count from 1 without a gap. The last one stands in the conversation's row, which a
commit holds until its end: so commits to one conversation come one after another, whoever
makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from math import inf
from typing import Any

from runner.agents.base import Message
from runner.store.archive import KeptConversation, Snapshot
from runner.store.base import AcceptedTurn, AgentState, Ending, NothingKept, Place, Record
from runner.store.history import History
from runner.store.postgres import archive, committing
from runner.store.postgres.connection import Connection
from runner.store.postgres.database import Database
from runner.store.postgres.rows import ended_values, said_in, turn_of, values_of
from runner.store.postgres.statements import (
    ACCEPT,
    COUNT,
    END,
    FIND_ACCEPTED,
    FIND_IN_HISTORY,
    FORGET,
    HOLD_IDLE,
    IDLE,
    LATELY,
    LATEST,
    ROWS,
    SOME,
    STANDS,
    SURPLUS,
    TOTAL,
)
from runner.store.timing import Took, timed, untold

HEARD_S = 300.0
"""For so long it is kept how a turn ended that nobody can ask for: its client may wait for it at a
process that was cut off."""

MOST_TURNS, MOST_BYTES = 16, 2**18
"""The last turns that are read with what a turn begins with: most agents look at no others."""


class PostgresStore:
    """What is kept where the URL leads.

    exclusive  refuse a second process on the same tables.
    """

    durable = True
    lost = False

    def __init__(self, url: str, *, exclusive: bool = True) -> None:
        """Raises psycopg.ProgrammingError for a URL that is none."""
        self.database = Database(url, exclusive=exclusive)
        self.open = self.database.open
        self.close = self.database.close
        self.until_available = self.database.until_available
        self.took: Took = untold

    @property
    def available(self) -> bool:
        return self.database.available

    # History.

    def history(self, conversation: str, turns: int | None = None) -> History:
        return History(self, conversation, turns)

    def span(self, conversation: str) -> tuple[int, int]:
        return 1, self.database.read_here(lambda db: _last_number(db, conversation))

    def read(self, conversation: str, first: int, last: int) -> Sequence[tuple[str, str]]:
        sql = """
            SELECT message, reply FROM turnline_turns
            WHERE conversation = %s AND number BETWEEN %s AND %s ORDER BY number
        """
        values = (conversation, first, last)
        return self.database.read_here(
            lambda db: [said_in(row) for row in db.execute(sql, values, binary=True)]
        )

    @timed("agent_state")
    async def before(
        self, conversation: str, form: str, turns: int | None = None
    ) -> tuple[AgentState | None, History]:
        most = min(turns or MOST_TURNS, MOST_TURNS)
        values = {"id": conversation, "form": form, "most": most, "bytes": MOST_BYTES}

        def read(db: Connection) -> tuple[AgentState | None, int, list[tuple[str, str]]]:
            with db.pipeline():
                stands = db.execute(STANDS, values, binary=True)
                lately = db.execute(LATELY, values, binary=True)
                state = stands.fetchone()
                said = [said_in(row) for row in lately]
            last = int(state["last"]) if state else 0
            return _state(state), last, said

        state, last, said = await self.database.read(read)
        return state, History(self, conversation, turns, (last, said))

    async def messages(self, conversation: str, count: int = 0) -> list[Message]:
        return await self.database.run(lambda: self.history(conversation)[-count:])

    @timed("agent_state")
    async def agent_state(self, conversation: str, form: str) -> AgentState | None:
        sql = """
            SELECT form, state, requests, before FROM turnline_agent_states
            WHERE conversation = %s AND form = %s
        """
        values = (conversation, form)
        return await self.database.read(
            lambda db: _state(db.execute(sql, values, binary=True).fetchone())
        )

    @timed("commit")
    async def commit(self, record: Record) -> int:
        return await self.database.write(
            lambda db: committing.commit(db, record),
            lambda db: _number_of(db, record.turn_id),
            though_cancelled=True,
        )

    @timed("find")
    async def said(self, digest: str, most: int) -> list[str]:
        sql = "SELECT id FROM turnline_conversations WHERE said = %s LIMIT %s"
        values = (digest, most)
        return await self.database.read(lambda db: [row["id"] for row in db.execute(sql, values)])

    @timed("find")
    async def turns(self, conversation: str) -> int:
        return await self.database.read(lambda db: _last_number(db, conversation))

    @timed("find")
    async def conversations(self, prefix: str, limit: int) -> tuple[Mapping[str, int], int]:
        # A range of the index is all that is read; no id has a U+10FFFF.
        values = {"first": prefix, "last": f"{prefix}\U0010ffff", "limit": limit or None}
        values["start"] = len(prefix) + 1

        def read(db: Connection) -> tuple[Mapping[str, int], int]:
            with db.pipeline():
                some, count = db.execute(SOME, values), db.execute(COUNT, values)
                shown = {row["id"]: int(row["last"]) for row in some}
                total = count.fetchone()
            return shown, int(total["total"]) if total else 0

        return await self.database.read(read)

    @timed("forget")
    async def forget(self, conversation: str, idle_since: float | None = None) -> bool:
        return await self.database.write(
            lambda db: self._forget(db, conversation, idle_since),
            lambda db: not _last_number(db, conversation) or None,
            though_cancelled=True,
        )

    def _forget(self, db: Connection, conversation: str, idle_since: float | None) -> bool:
        if idle_since is not None:
            values = {"id": conversation, "since": idle_since}
            if db.execute(HOLD_IDLE, values).fetchone() is None:
                return False
        for sql in FORGET:
            db.execute(sql, (conversation,))
        return True

    async def idle(self, since: float, most: int) -> list[str]:
        values = {"since": since, "most": most}
        return await self.database.read(lambda db: [row["id"] for row in db.execute(IDLE, values)])

    # Accepted turns.

    @timed("accept")
    async def accept(self, turn: AcceptedTurn) -> None:
        kept = "SELECT id FROM turnline_accepted WHERE id = %s"
        await self.database.write(
            lambda db: db.execute(ACCEPT, values_of(turn)).rowcount or None,
            lambda db: db.execute(kept, (turn.id,)).fetchone(),
        )

    @timed("begin")
    async def begin(self, turn_ids: Sequence[str]) -> None:
        sql = "UPDATE turnline_accepted SET attempts = attempts + 1 WHERE id = ANY(%s)"

        def write(db: Connection) -> None:
            if db.execute(sql, (list(turn_ids),)).rowcount != len(turn_ids):
                raise NothingKept("Not all of these turns are written down.")

        await self.database.write(write)

    @timed("end")
    async def end(self, turn_id: str, ending: Ending) -> None:
        await self.database.write(
            lambda db: db.execute(END, ended_values(turn_id, ending)).rowcount
        )

    @timed("find")
    async def find(self, turn_id: str) -> AcceptedTurn | None:
        def read(db: Connection) -> AcceptedTurn | None:
            for sql in (FIND_ACCEPTED, FIND_IN_HISTORY):
                if row := db.execute(sql, {"id": turn_id}, binary=True).fetchone():
                    return turn_of(row)
            return None

        return await self.database.read(read)

    @timed("find")
    async def ended(
        self, conversation: str, before: Place | None, most: int
    ) -> tuple[list[Place], int]:
        at, number, turn_id = before or (inf, 0, "")
        values: dict[str, Any] = {"conversation": conversation, "most": most}
        values |= {"at": at, "number": number, "id": turn_id}

        def read(db: Connection) -> tuple[list[Place], int]:
            found = db.execute(LATEST, values, binary=True)
            places = [(row["at"], row["number"], row["id"]) for row in found]
            total = db.execute(TOTAL, values).fetchone()
            return places, int(total["total"]) if total else 0

        return await self.database.read(read)

    async def unfinished(self) -> list[AcceptedTurn]:
        sql = "SELECT * FROM turnline_accepted WHERE state IS NULL ORDER BY sequence"
        return await self.database.read(
            lambda db: [turn_of(row) for row in db.execute(sql, binary=True)]
        )

    async def keyed(self) -> list[AcceptedTurn]:
        sql = f"{ROWS} WHERE key IS NOT NULL ORDER BY sequence"
        return await self.database.read(lambda db: [turn_of(row) for row in db.execute(sql)])

    async def untold(self) -> list[AcceptedTurn]:
        sql = f"{ROWS} WHERE webhook IS NOT NULL ORDER BY sequence"
        return await self.database.read(lambda db: [turn_of(row) for row in db.execute(sql)])

    async def hook(self, turn_id: str, webhook: str) -> bool:
        sql = """
            UPDATE turnline_accepted SET webhook = %s, lasting = true
            WHERE id = %s AND state IS NULL
        """
        values = (webhook, turn_id)
        return await self.database.write(lambda db: bool(db.execute(sql, values).rowcount))

    async def told(self, turn_id: str) -> None:
        sql = "UPDATE turnline_accepted SET webhook = NULL WHERE id = %s"
        await self.database.write(lambda db: db.execute(sql, (turn_id,)))

    async def shift(self, by_s: float) -> None:
        sql = """
            UPDATE turnline_accepted SET accepted_at = accepted_at + %(by_s)s,
            deadline_at = deadline_at + %(by_s)s
        """
        await self.database.write(lambda db: db.execute(sql, {"by_s": by_s}))

    @timed("prune")
    async def prune(self, before: float, most: int) -> None:
        values = {"before": before, "most": most, "heard_s": HEARD_S}
        # Found where it holds up no write: it is a look at all of them.
        surplus = await self.database.read(
            lambda db: [row["sequence"] for row in db.execute(SURPLUS, values)]
        )
        if surplus:
            sql = "DELETE FROM turnline_accepted WHERE sequence = ANY(%s)"
            await self.database.write(lambda db: db.execute(sql, (surplus,)))

    # Export and import.

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        return archive.snapshot(self.database.parameters)

    async def restore(self, conversations: Iterable[KeptConversation]) -> list[str]:
        unread = [conversations]

        def write(db: Connection) -> list[str]:
            if not unread:  # They can be read once only, and that came to nothing.
                raise NothingKept
            return archive.restore(db, unread.pop())

        return await self.database.write(write)


def _last_number(db: Connection, conversation: str) -> int:
    sql = "SELECT last FROM turnline_conversations WHERE id = %s"
    row = db.execute(sql, (conversation,)).fetchone()
    return int(row["last"]) if row else 0


def _number_of(db: Connection, turn_id: str) -> int | None:
    row = db.execute("SELECT number FROM turnline_turns WHERE id = %s", (turn_id,)).fetchone()
    return int(row["number"]) if row else None


def _state(row: Mapping[str, Any] | None) -> AgentState | None:
    if row is None or row["form"] is None:
        return None
    return AgentState(row["form"], row["state"], row["requests"], row["before"])
