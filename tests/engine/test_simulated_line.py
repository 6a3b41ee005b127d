"""The line in memory is the line in Postgres: the same steps, chosen by a seed, end alike in both.

So what the simulated servers show holds for `line.sql` and `SharedStore`; and a mistake in
either is found here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from runner.engine.store import KeyTaken, Rules, SharedStore
from runner.store.base import AcceptedTurn, Ending, Record
from strategies import State, TurnError
from tests.engine.simulated_line import Process
from tests.engine.simulated_server import Link, Server
from tests.engine.simulated_store import SimulatedStore
from tests.support.postgres import drop_schema, execute, new_schema

LEASE_S = 0.1
HOUR_S = 3_600.0
PROCESSES = "pq"
STEPS = 40

CANCELLED = Ending(State.CANCELLED, cause="TurnCancelled", outcome="not_started")
FAILED = Ending(State.FAILED, cause="AgentFailed", outcome="rolled_back")
INTERRUPTED = Ending(State.INTERRUPTED, cause="TurnInterrupted", outcome="rolled_back")

Line = dict[str, tuple[Any, ...]]
"""Of each turn in it: conversation, place, rank, who runs it, whether it is fetched, attempts."""


class InMemory:
    """The simulated one. `silence` has a process be silent for an hour."""

    def __init__(self) -> None:
        self.server = Server(lambda: 0.0)
        link = Instant(self.server, Random(0))
        self.stores: dict[str, Any] = {
            name: SimulatedStore(link, name, LEASE_S) for name in PROCESSES
        }
        self._workers = {name: self.server.line.register() for name in PROCESSES}
        for name, store in self.stores.items():
            store.worker = lambda name=name: self._workers[name]
            self.speak(name)

    def silence(self, name: str, at: float = -HOUR_S) -> None:
        self.server.line.workers[self._workers[name]] = at
        self.server.line.processes[name] = Process(self._workers[name], 1, at)

    def speak(self, name: str) -> None:
        self.silence(name, HOUR_S)

    def fetch(self, name: str) -> tuple[str, int] | None:
        row = self.server.line.fetch(self._workers[name])
        return None if row is None else (row.turn_id, row.attempts)

    def line(self) -> Line:
        return {
            row.turn_id: (
                row.conversation, row.place, row.rank, row.runner, row.is_fetched, row.attempts,
                row.is_stopped,
            )
            for row in self.server.line.rows.values()
        }  # fmt: skip


class Instant(Link):
    async def _pause(self) -> None:
        pass


class InPostgres:
    """The real one."""

    def __init__(self, url: str, stores: dict[str, SharedStore]) -> None:
        self.stores = stores
        rows: Any = dict_row
        self._db: Any = psycopg.connect(url, autocommit=True, row_factory=rows)
        for table in ("line", "processes", "accepted", "turns", "conversations"):
            self._db.execute(f"DELETE FROM turnline_{table}".encode())
        self._db.execute("DELETE FROM procrastinate_jobs")
        self._db.execute("SELECT setval('turnline_served', 0)")
        self._workers: dict[str, int] = {}
        for name, store in stores.items():
            sql = "INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id"
            self._workers[name] = self._value(sql)
            sql = """
                INSERT INTO turnline_processes (id, name, worker, slots, lease_s)
                VALUES (%s, '', %s, 1, %s)
            """
            self._db.execute(sql, (name, self._workers[name], LEASE_S))
            store.worker = lambda name=name: self._workers[name]  # type: ignore[misc]
            store.attempts.clear()
            self.speak(name)

    def close(self) -> None:
        self._db.close()

    def _value(self, sql: str, *values: Any) -> Any:
        row = self._db.execute(sql.encode(), values).fetchone()
        return None if row is None else next(iter(row.values()))

    def silence(self, name: str, in_s: float = -HOUR_S) -> None:
        at = "now() + make_interval(secs => %s)"
        sql = f"UPDATE procrastinate_workers SET last_heartbeat = {at} WHERE id = %s"
        self._db.execute(sql.encode(), (in_s, self._workers[name]))
        sql = f"UPDATE turnline_processes SET seen_at = {at} WHERE id = %s"
        self._db.execute(sql.encode(), (in_s, name))

    def speak(self, name: str) -> None:
        self.silence(name, HOUR_S)

    def fetch(self, name: str) -> tuple[str, int] | None:
        sql = """
            SELECT args ->> 'turn_id' AS turn_id, attempts
            FROM procrastinate_fetch_job_v2(ARRAY['turnline'], %s)
        """
        row = self._db.execute(sql, (self._workers[name],)).fetchone()
        return None if row is None or row["turn_id"] is None else (row["turn_id"], row["attempts"])

    def line(self) -> Line:
        sql = """
            SELECT l.*, j.status = 'doing' AS is_fetched, j.attempts FROM turnline_line AS l
            JOIN procrastinate_jobs AS j ON j.id = l.job
        """
        names = "conversation", "place", "rank", "runner", "is_fetched", "attempts", "is_stopped"
        rows = self._db.execute(sql).fetchall()
        return {row["turn_id"]: tuple(row[name] for name in names) for row in rows}


Side = InMemory | InPostgres
Step = Callable[[Side], Awaitable[Any]]


class Steps:
    """What a seed does; each step is done to both."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.turns: list[AcceptedTurn] = []
        self.policy = self.rng.choice(("queue", "queue", "queue", "lock", "reject"))

    def next(self) -> tuple[str, Step]:
        steps = [
            self._admit, self._admit, self._admit, self._fetch, self._fetch, self._begin,
            self._begin, self._commit, self._end, self._finish, self._withdraw, self._silence,
            self._revive, self._forget_gone, self._look,
        ]  # fmt: skip
        return self.rng.choice(steps)()

    def _process(self) -> str:
        return self.rng.choice(PROCESSES)

    def _turn(self) -> str:
        return self.rng.choice(self.turns).id if self.turns else "none"

    def _admit(self) -> tuple[str, Step]:
        rng, name = self.rng, self._process()
        conversation = rng.choice(("a/1", "a/2", "b/1", "c/1"))
        turn = AcceptedTurn(
            f"t{len(self.turns)}", conversation, "hello", 0.0, priority=rng.choice((3, 3, 1, 5)),
            key=rng.choice((None, None, "k")), digest="d",
        )  # fmt: skip
        self.turns.append(turn)
        of_caller = rng.choice((None, 2))
        rules = Rules(
            self.policy, conversation[0], rng.random() < 0.5, 4, rng.choice((2, 3)), of_caller, None
        )

        async def step(side: Side) -> Any:
            refusal = await side.stores[name].admit(turn, rules)
            return refusal if refusal is None else type(refusal).__name__

        return f"{name} admits {turn}", step

    def _fetch(self) -> tuple[str, Step]:
        name = self._process()

        async def step(side: Side) -> Any:
            fetched = side.fetch(name)
            if fetched is not None:
                side.stores[name].attempts[fetched[0]] = fetched[1]
            return fetched

        return f"{name} fetches", step

    def _begin(self) -> tuple[str, Step]:
        name, turn = self._process(), self._turn()
        return f"{name} begins {turn}", lambda side: side.stores[name].begin([turn])

    def _commit(self) -> tuple[str, Step]:
        name, turn = self._process(), self._turn()
        conversation = next((one.conversation for one in self.turns if one.id == turn), "none")
        record = Record(turn, conversation, "hello", "there")
        return f"{name} commits {turn}", lambda side: side.stores[name].commit(record)

    def _end(self) -> tuple[str, Step]:
        name, turn, has_stopped = self._process(), self._turn(), self.rng.random() < 0.5

        async def step(side: Side) -> Any:
            return await side.stores[name].end_here(turn, FAILED, has_stopped=has_stopped)

        return f"{name} ends {turn}", step

    def _finish(self) -> tuple[str, Step]:
        name, turn = self._process(), self._turn()
        return f"{name} finishes {turn}", lambda side: side.stores[name].finish(turn)

    def _withdraw(self) -> tuple[str, Step]:
        name, turn = self._process(), self._turn()
        return f"withdraw {turn}", lambda side: side.stores[name].withdraw(turn, CANCELLED)

    def _silence(self) -> tuple[str, Step]:
        name, is_silent = self._process(), self.rng.random() < 0.6

        async def step(side: Side) -> Any:
            return side.silence(name) if is_silent else side.speak(name)

        return f"{name} is {'silent' if is_silent else 'back'}", step

    def _revive(self) -> tuple[str, Step]:
        name, ending = self._process(), self.rng.choice((None, None, INTERRUPTED))

        async def step(side: Side) -> Any:
            store = side.stores[name]
            found = sorted(await store.stalled(LEASE_S))
            return found, [await store.revive(turn, LEASE_S, ending) for turn, _ in found]

        return f"{name} revives", step

    def _forget_gone(self) -> tuple[str, Step]:
        """But without what it does to processes and workers, which speak again here."""
        name = self._process()

        async def step(side: Side) -> Any:
            await side.stores[name].forget_gone(2 * HOUR_S, CANCELLED)

        return f"{name} forgets who is gone", step

    def _look(self) -> tuple[str, Step]:
        name, turn, conversation = self._process(), self._turn(), self.rng.choice(("a/1", "b/1"))

        async def step(side: Side) -> Any:
            store = side.stores[name]
            kept, runner = await store.look(turn)
            ending = None if kept is None else kept.ending
            how = None if ending is None else (ending.state, ending.number)
            living = [(one.id, one.attempts, who) for one, who in await store.living(conversation)]
            return (
                kept and kept.attempts, runner, how, await store.places(conversation), living,
                await store.keyed_as(conversation, "k"),
            )  # fmt: skip

        return f"look at {turn}", step


async def done(step: Step, side: Side) -> Any:
    """What it gives, or the name of what it raises."""
    try:
        return await step(side)
    except (TurnError, KeyTaken) as error:
        return type(error).__name__


@asynccontextmanager
async def real_stores(url: str) -> AsyncGenerator[dict[str, SharedStore]]:
    stores = {name: SharedStore(url) for name in PROCESSES}
    for name, store in stores.items():
        store.own = name
        await store.open()
    yield stores
    for store in stores.values():
        await store.close()


async def first_difference(url: str, seeds: Sequence[int]) -> str | None:
    async with real_stores(url) as stores:
        for seed in seeds:
            if (found := await _difference(url, stores, seed)) is not None:
                return found
    return None


async def _difference(url: str, stores: dict[str, SharedStore], seed: int) -> str | None:
    steps, memory, postgres = Steps(seed), InMemory(), InPostgres(url, stores)
    said: list[str] = []
    try:
        for _ in range(STEPS):
            name, step = steps.next()
            here, there = await done(step, memory), await done(step, postgres)
            said.append(f"{name}: {here}")
            if here != there or memory.line() != postgres.line():
                told = f"{here} {memory.line()}, and in Postgres {there} {postgres.line()}"
                return "\n".join([f"seed {seed}, {steps.policy}:", *said, told])
    finally:
        postgres.close()
    return None


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    made = new_schema()

    async def install() -> None:
        async with real_stores(made):
            pass

    asyncio.run(install())
    yield made
    drop_schema(made)


def test_each_step_does_the_same_to_the_line_in_memory_and_in_postgres(url: str) -> None:
    """I-26: a seed that differs is told with its steps."""
    assert asyncio.run(first_difference(url, range(40))) is None


MISTAKES = {
    "turnline_start": [("s.last_value < its_rank", "false")],
    "turnline_withdraw": [(" AND j.status = 'todo'", "")],
    "turnline_admit": [
        ("policy = 'reject' AND here > 0", "policy = 'reject' AND here_waiting > 0"),
        ("runner IS NOT NULL OR place", "place"),
        ("caller_waiting >= max_per_caller", "caller_waiting > max_per_caller"),
        ("greatest(new_rank, max(rank - urgency * (priority - 3)))", "max(new_rank)"),
    ],
}  # fmt: skip
"""In functions of line.sql: what is there, and what somebody might have written.

Not there: that a worker's id and its attempt are both looked at, since in these steps either finds
what the other would. The lives of simulated servers need both.
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "right", "wrong"),
    [(name, *one) for name, mistakes in MISTAKES.items() for one in mistakes],
)
def test_a_mistake_in_the_line_is_found(url: str, function: str, right: str, wrong: str) -> None:
    sql = (resources.files("runner.engine") / "line.sql").read_text()
    source = re.search(rf"CREATE FUNCTION {function}\(.*?\n\$\$;", sql, re.DOTALL)
    assert source is not None
    assert source[0].count(right) == 1, f"not once in {function}: {right}"
    define = source[0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    execute(url, define.replace(right, wrong))
    try:
        assert asyncio.run(first_difference(url, range(80))) is not None
    finally:
        execute(url, define)
