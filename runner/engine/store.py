"""Postgres, with the line in the transactions of the store.

Who may keep a reply is decided by the job: as long as it is this worker's, the turn is. A process
that was taken for gone finds its turns taken back, and keeps nothing of them.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from secrets import token_hex
from time import time
from typing import Any, TypeVar

from psycopg.conninfo import make_conninfo

from runner.callers import caller_of, owns
from runner.engine import figures
from runner.engine.schema import install
from runner.engine.statements import BEGIN, HOOK, IS_LONG_UP, IS_STOPPED, LIVES, STALLED, STOP
from runner.store.base import (
    AcceptedTurn,
    AgentState,
    Ending,
    NothingKept,
    Record,
    StoreUnavailable,
)
from runner.store.history import History
from runner.store.postgres import PostgresStore, committing
from runner.store.postgres.connection import Connection, parameters_of
from runner.store.postgres.rows import ended_values, turn_of, values_of
from runner.store.postgres.statements import ACCEPT, END
from runner.store.timing import timed
from strategies import (
    CallerQueueFull,
    ConversationBusy,
    ConversationQueueFull,
    ServerFull,
    State,
    TurnCancelled,
    TurnError,
)

T = TypeVar("T")

URGENCY = 8
"""Places in the line that a level of urgency is worth: see `turnline_admit`."""

REFUSALS: dict[str, type[TurnError]] = {
    kind.__name__: kind
    for kind in (CallerQueueFull, ConversationBusy, ConversationQueueFull, ServerFull)
}


class KeyTaken(Exception):
    """Another process has just accepted a turn under this key."""


class Superseded(NothingKept):
    """This process was silent for so long that another one has taken the turn. Nothing is kept."""


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a turn is given its place: a policy, bounds, and who asks.

    outlives   whether it runs though the process that accepts it is gone.
    service_s  seconds that a turn runs, or None before a measurement.
    """

    policy: str
    caller: str
    outlives: bool
    max_waiting: int = 0
    max_waiting_per_conversation: int = 0
    max_waiting_per_caller: int | None = None
    service_s: float | None = None


class SharedStore(PostgresStore):
    """What all processes keep together.

    own       the name of this process; another one each time it is started.
    worker    gives what Procrastinate calls it, once it is a worker.
    attempts  of the turns that run here: how often each had been given back when it was fetched.
              One that this process has lost, and fetched again, is not that of the first run.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, exclusive=False)
        self.open = self._open
        self.conninfo = make_conninfo(**parameters_of(url))
        self.own = token_hex(4)
        self.worker: Callable[[], int] = lambda: 0
        self.attempts: dict[str, int] = {}
        self._ahead_s = 0.0

    async def _open(self) -> None:
        await self.database.open()
        await self.database.write(install)
        sql = "SELECT extract(epoch FROM clock_timestamp())::float8"
        self._ahead_s = await self.database.read(lambda db: _value(db.execute(sql))) - time()

    def now(self) -> float:
        """Seconds since 1970 by the server's clock, which all processes share."""
        return time() + self._ahead_s

    # The line.

    @timed("accept")
    async def admit(self, turn: AcceptedTurn, rules: Rules) -> TurnError | None:
        """Write the turn down and give it its place; or why not. Raises KeyTaken."""
        refusal = await self.database.write(
            lambda db: self._admit(db, turn, rules),
            lambda db: "" if _is_written(db, turn.id) else None,
        )
        if refusal == "KeyTaken":
            raise KeyTaken
        return None if refusal == "" else REFUSALS[refusal](retry_after_s=rules.service_s)

    def _admit(self, db: Connection, turn: AcceptedTurn, rules: Rules) -> str:
        refusal = self._place(db, turn, turn.key, rules)
        if refusal == "":
            lasting = rules.outlives or turn.webhook is not None
            db.execute(ACCEPT, values_of(turn, lasting=lasting))
        return refusal

    def _place(self, db: Connection, turn: AcceptedTurn, key: str | None, rules: Rules) -> str:
        """The name of the refusal, or "" where it has its place now."""
        sql = """
            SELECT turnline_admit(
                %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
            ) AS refusal
        """
        values = (
            turn.id, turn.conversation, key, rules.caller, self.own, rules.outlives,
            turn.priority, rules.policy, rules.max_waiting, rules.max_waiting_per_conversation,
            rules.max_waiting_per_caller, URGENCY,
        )  # fmt: skip
        refusal = _value(db.execute(sql, values))
        if refusal == "":
            if turn.webhook is not None:
                db.execute(HOOK, (turn.id, self.own))
            _tell(db, "came", turn.id, turn.conversation)
        return str(refusal)

    async def withdraw(self, turn_id: str, ending: Ending) -> int | None:
        """End a turn that waits: how often its agent was called; None where it waits no longer."""

        def write(db: Connection) -> int | None:
            if not _value(db.execute("SELECT turnline_withdraw(%s)", (turn_id,))):
                if ending.state is State.CANCELLED:
                    db.execute(STOP, (turn_id,))
                return None
            return self._end(db, turn_id, ending)

        return await self.database.write(write)

    async def end_here(self, turn_id: str, ending: Ending, *, has_stopped: bool = False) -> bool:
        """Keep how a turn has ended that ran here; False where it is another's now.

        has_stopped  its agent is not at work: its conversation is free with this.
        """

        def write(db: Connection) -> bool:
            if not (self._finish if has_stopped else self._is_mine)(db, turn_id):
                return False
            self._end(db, turn_id, ending)
            return True

        return await self.database.write(write)

    async def finish(self, turn_id: str) -> None:
        """Its agent has stopped here."""
        await self.database.write(lambda db: self._finish(db, turn_id))

    async def look(self, turn_id: str) -> tuple[AcceptedTurn | None, str | None]:
        """The turn, and the process that runs it, or None."""
        sql = "SELECT runner FROM turnline_line WHERE turn_id = %s"
        runner = await self.database.read(lambda db: _value(db.execute(sql, (turn_id,))))
        return await self.find(turn_id), runner  # In this order: an end is not missed.

    async def places(self, conversation: str) -> dict[str, int]:
        """Of the turns that wait there, from 1."""
        sql = """
            SELECT turn_id FROM turnline_line WHERE conversation = %s AND runner IS NULL
            ORDER BY rank, job
        """
        rows = await self.database.read(lambda db: db.execute(sql, (conversation,)).fetchall())
        return {row["turn_id"]: place for place, row in enumerate(rows, 1)}

    async def keyed_as(self, conversation: str, key: str) -> tuple[str, str | None] | None:
        """The turn that was asked under this key and holds it, with its digest."""
        sql = """
            SELECT id, digest FROM turnline_accepted WHERE conversation = %s AND key = %s
            AND outcome IS DISTINCT FROM 'not_started' ORDER BY sequence DESC LIMIT 1
        """
        values = (conversation, key)
        row = await self.database.read(lambda db: db.execute(sql, values).fetchone())
        return None if row is None else (row["id"], row["digest"])

    async def where_keyed(self, caller: str, key: str) -> str | None:
        """The conversation in which the caller last asked something under this key."""
        sql = """
            SELECT conversation FROM turnline_accepted WHERE key = %s
            AND outcome IS DISTINCT FROM 'not_started' ORDER BY sequence DESC
        """

        def read(db: Connection) -> str | None:
            found = (row["conversation"] for row in db.execute(sql, (key,)))
            return next((one for one in found if owns(caller, one)), None)

        return await self.database.read(read)

    @timed("find")
    async def said(self, digest: str, most: int) -> list[str]:
        sql = """
            SELECT id FROM turnline_conversations AS c WHERE said = %s
            AND NOT EXISTS (SELECT FROM turnline_line WHERE conversation = c.id) LIMIT %s
        """
        values = (digest, most)
        return await self.database.read(lambda db: [row["id"] for row in db.execute(sql, values)])

    async def living(self, conversation: str) -> list[tuple[AcceptedTurn, str | None]]:
        """Its turns that have not ended, in order of acceptance, and which process runs each."""
        sql = """
            SELECT a.*, l.runner FROM turnline_accepted AS a
            JOIN turnline_line AS l ON l.turn_id = a.id
            WHERE a.conversation = %s AND a.state IS NULL ORDER BY a.sequence
        """

        def read(db: Connection) -> list[tuple[AcceptedTurn, str | None]]:
            rows = db.execute(sql, (conversation,)).fetchall()
            return [(turn_of(row), row["runner"]) for row in rows]

        return await self.database.read(read)

    async def lines(self, caller: str) -> dict[str, tuple[int, int]]:
        """The caller's conversations with turns that have not ended: how many wait and run."""
        sql = f"""
            SELECT a.conversation, count(*) FILTER (WHERE l.runner IS NULL) AS waiting,
            count(l.runner) AS running FROM {figures.LIVING} WHERE l.caller = %s GROUP BY 1
        """
        rows = await self.database.read(lambda db: db.execute(sql, (caller,)).fetchall())
        return {row["conversation"]: (row["waiting"], row["running"]) for row in rows}

    async def system(self) -> figures.System:
        """What all processes do."""
        return await self.database.read(lambda db: figures.read(db, self.now()))

    # Processes that are gone.

    async def stalled(self, lease_s: float) -> list[tuple[str, int]]:
        """Turns whose process is silent, each with how often its agent was called."""
        sql = f"""
            SELECT l.turn_id, coalesce(a.attempts, 0) AS attempts FROM procrastinate_jobs AS j
            JOIN turnline_line AS l ON l.job = j.id
            LEFT JOIN turnline_accepted AS a ON a.id = l.turn_id WHERE {STALLED}
        """
        values = {"lease_s": lease_s}
        rows = await self.database.read(lambda db: db.execute(sql, values).fetchall())
        return [(row["turn_id"], row["attempts"]) for row in rows]

    async def revive(self, turn_id: str, lease_s: float, ending: Ending | None) -> bool:
        """Have such a turn run again, or end like this; False where another has seen to it."""
        sql = f"""
            SELECT j.id FROM procrastinate_jobs AS j JOIN turnline_line AS l ON l.job = j.id
            WHERE l.turn_id = %(turn_id)s AND {STALLED} FOR UPDATE OF j SKIP LOCKED
        """

        def write(db: Connection) -> bool:
            values = {"turn_id": turn_id, "lease_s": lease_s}
            job = _value(db.execute(sql, values))
            if job is None:
                return False
            if ending is None and not _has_ended(db, turn_id):
                db.execute("SELECT procrastinate_retry_job_v2(%s, NULL, NULL, NULL, NULL)", (job,))
                db.execute("UPDATE turnline_line SET runner = NULL WHERE turn_id = %s", (turn_id,))
                return True
            if ending is not None:
                self._end(db, turn_id, ending)
            db.execute("DELETE FROM procrastinate_jobs WHERE id = %s", (job,))
            db.execute("DELETE FROM turnline_line WHERE turn_id = %s", (turn_id,))
            return True

        return await self.database.write(write)

    async def forget_gone(self, lease_s: float, ending: Ending) -> None:
        """End turns that wait for clients of processes that are gone, and forget those."""
        sql = """
            SELECT turn_id FROM turnline_line WHERE NOT outlives AND runner IS NULL AND NOT EXISTS (
                SELECT FROM turnline_processes WHERE id = holder
                AND seen_at > now() - make_interval(secs => lease_s)
            )
        """

        def write(db: Connection) -> None:
            if not _value(db.execute(f"SELECT {IS_LONG_UP}", {"lease_s": lease_s})):
                return
            for row in db.execute(sql).fetchall():
                if _value(db.execute("SELECT turnline_withdraw(%s)", (row["turn_id"],))):
                    self._end(db, row["turn_id"], ending)
            db.execute(
                f"DELETE FROM procrastinate_workers AS w WHERE NOT {LIVES}", {"lease_s": lease_s}
            )
            gone = "seen_at < now() - make_interval(secs => lease_s)"
            db.execute(f"DELETE FROM turnline_processes WHERE {gone}")

        await self.database.write(write)

    async def strays(self) -> list[AcceptedTurn]:
        """Turns that have not ended and are in no line: `runner migrate` has brought them."""
        sql = """
            SELECT a.* FROM turnline_accepted AS a WHERE state IS NULL
            AND NOT EXISTS (SELECT FROM turnline_line WHERE turn_id = a.id) ORDER BY sequence
        """
        return await self.database.read(lambda db: [turn_of(row) for row in db.execute(sql)])

    async def line_up(self, turn: AcceptedTurn) -> None:
        """Give a stray its place, unless another process has."""

        def write(db: Connection) -> None:
            db.execute("SELECT turnline_lock_admission()")
            sql = "SELECT true FROM turnline_line WHERE turn_id = %s"
            if not _value(db.execute(sql, (turn.id,))) and not _has_ended(db, turn.id):
                # Its bounds were checked where it was accepted.
                self._place(db, turn, None, Rules("lock", caller_of(turn.conversation), True))

        await self.database.write(write)

    async def hooks_of_gone(self, lease_s: float) -> list[str]:
        """Turns whose webhook is this process's to deliver now."""
        sql = f"""
            UPDATE turnline_hooks SET holder = %(own)s WHERE {IS_LONG_UP} AND holder NOT IN (
                SELECT id FROM turnline_processes
                WHERE seen_at > now() - make_interval(secs => lease_s)
            ) RETURNING turn_id
        """
        values = {"own": self.own, "lease_s": lease_s}

        def write(db: Connection) -> list[str]:
            return [row["turn_id"] for row in db.execute(sql, values)]

        return await self.database.write(write)

    # As a Store, where more than one process writes.

    async def untold(self) -> list[AcceptedTurn]:
        return []  # See `hooks_of_gone`.

    async def hook(self, turn_id: str, webhook: str) -> bool:
        if not await super().hook(turn_id, webhook):
            return False
        await self.database.write(lambda db: db.execute(HOOK, (turn_id, self.own)).rowcount)
        return True

    async def told(self, turn_id: str) -> None:
        await super().told(turn_id)
        sql = "DELETE FROM turnline_hooks WHERE turn_id = %s"
        await self.database.write(lambda db: db.execute(sql, (turn_id,)).rowcount)

    async def shift(self, by_s: float) -> None:
        """The clock is that of the server (`now`), and is not ours to set."""

    @timed("begin")
    async def begin(self, turn_ids: Sequence[str]) -> None:
        def write(db: Connection) -> bool:
            begun = [self._begin(db, turn_id) for turn_id in turn_ids]
            return all(begun)

        if not await self._once_there(partial(self.database.write, write), NothingKept):
            raise TurnCancelled

    def _begin(self, db: Connection, turn_id: str) -> bool:
        """False where it was cancelled since it was fetched. Raises NothingKept."""
        sql = "SELECT turnline_start(%s, %s, %s, %s)"
        if not _value(db.execute(sql, (turn_id, self.own, *self._run(turn_id)))):
            raise Superseded
        row = db.execute(BEGIN, (turn_id,)).fetchone()
        if row is not None:
            more = {"n": row["attempts"], "p": self.own}
            _tell(db, "started", turn_id, row["conversation"], **more)
        elif not _value(db.execute(IS_STOPPED, (turn_id,))):
            raise NothingKept
        return row is not None

    @timed("commit")
    async def commit(self, record: Record) -> int:
        def write(db: Connection) -> int:
            if not self._finish(db, record.turn_id):
                raise Superseded
            number = committing.commit(db, record)
            _tell(db, "ended", record.turn_id, record.conversation)
            return number

        sql = "SELECT number FROM turnline_turns WHERE id = %s"

        def kept(db: Connection) -> int | None:
            number: int | None = _value(db.execute(sql, (record.turn_id,)))
            return number

        writing = partial(self.database.write, write, kept, though_cancelled=True)
        return await self._once_there(writing, NothingKept)

    async def before(
        self, conversation: str, form: str, turns: int | None = None
    ) -> tuple[AgentState | None, History]:
        reading = partial(super().before, conversation, form, turns)
        return await self._once_there(reading, StoreUnavailable)

    async def _once_there(
        self, ask: Callable[[], Awaitable[T]], unless: type[StoreUnavailable]
    ) -> T:
        """What a turn needs that was accepted: it waits for the server, as long as it may run.

        unless  with this it has not been done, and may be asked again.
        """
        while True:
            try:
                return await ask()
            except unless:
                if self.available:
                    raise
            await self.until_available()

    @timed("end")
    async def end(self, turn_id: str, ending: Ending) -> None:
        await self.end_here(turn_id, ending)

    async def forget(self, conversation: str, idle_since: float | None = None) -> bool:
        """As `Store.forget`. Raises ConversationBusy where a turn lives in any process."""
        is_gone = await super().forget(conversation, idle_since)
        if not is_gone and idle_since is None:
            raise ConversationBusy
        return is_gone

    def _forget(self, db: Connection, conversation: str, idle_since: float | None) -> bool:
        db.execute("SELECT turnline_lock_admission()")
        sql = "SELECT true FROM turnline_line WHERE conversation = %s LIMIT 1"
        if _value(db.execute(sql, (conversation,))):
            return False
        return super()._forget(db, conversation, idle_since)

    def _end(self, db: Connection, turn_id: str, ending: Ending) -> int:
        """Gives how often its agent was called: what the process at hand knows may be less."""
        attempts = _value(
            db.execute("SELECT attempts FROM turnline_accepted WHERE id = %s", (turn_id,))
        )
        if attempts and ending.outcome == "not_started":
            ending = replace(ending, outcome="rolled_back")
        conversation = _value(
            db.execute(f"{END} RETURNING conversation", ended_values(turn_id, ending))
        )
        if conversation is not None:
            _tell(db, "ended", turn_id, conversation)
        return attempts or 0

    def _run(self, turn_id: str) -> tuple[int, int | None]:
        """By what a job is this run's: its worker, and how often it had been given back."""
        return self.worker(), self.attempts.get(turn_id)

    def _is_mine(self, db: Connection, turn_id: str) -> bool:
        sql = """
            SELECT true FROM procrastinate_jobs AS j JOIN turnline_line AS l ON l.job = j.id
            WHERE l.turn_id = %s AND j.worker_id = %s AND j.attempts = %s AND j.status = 'doing'
            FOR UPDATE OF j
        """
        return bool(_value(db.execute(sql, (turn_id, *self._run(turn_id)))))

    def _finish(self, db: Connection, turn_id: str) -> bool:
        sql = "SELECT turnline_finish(%s, %s, %s)"
        return bool(_value(db.execute(sql, (turn_id, *self._run(turn_id)))))


def _is_written(db: Connection, turn_id: str) -> bool:
    sql = "SELECT true FROM turnline_accepted WHERE id = %s"
    return bool(_value(db.execute(sql, (turn_id,))))


def _has_ended(db: Connection, turn_id: str) -> bool:
    sql = "SELECT state IS NOT NULL FROM turnline_accepted WHERE id = %s"
    return _value(db.execute(sql, (turn_id,))) is not False


def _tell(db: Connection, kind: str, turn_id: str, conversation: str, **more: Any) -> None:
    """Others hear it when this is committed, and not otherwise."""
    message = json.dumps({"k": kind, "t": turn_id, "c": conversation, **more})
    db.execute("SELECT pg_notify('turnline', %s)", (message,))


def _value(cursor: Any) -> Any:
    row = cursor.fetchone()
    return None if row is None else next(iter(row.values()))
