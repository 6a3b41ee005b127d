"""What only the store in Postgres promises: I-3, I-27."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runner.store import make_store
from runner.store.base import (
    AcceptedTurn,
    AgentState,
    Ending,
    NothingKept,
    Record,
    StoreUnavailable,
)
from runner.store.postgres import PostgresStore, committing, database, schema, statements
from strategies import State
from tests.support.postgres import execute
from tests.support.postgres_proxy import PostgresProxy
from tests.support.stores import new_url


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with new_url("postgres", tmp_path) as made:
        yield made


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    made = PostgresStore(url)
    await made.open()
    yield made
    await made.close()


def record(name: str, conversation: str = "c") -> Record:
    return Record(name, conversation, f"message {name}", f"reply {name}")


# The schema.


async def test_tables_stand_in_the_first_schema_of_the_search_path(
    store: PostgresStore, url: str
) -> None:
    sql = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
    assert execute(url, f"{sql} AND tablename LIKE 'turnline\\_%'") == [(6,)]
    assert execute(url, f"{sql} AND tablename NOT LIKE 'turnline\\_%'") == [(0,)]


async def test_two_schemas_of_a_database_are_two_stores(url: str, tmp_path: Path) -> None:
    with new_url("postgres", tmp_path) as other_url:
        stores = [PostgresStore(url), PostgresStore(other_url)]
        for store in stores:
            await store.open()
            assert await store.commit(record("a")) == 1
            await store.close()


async def test_tables_of_a_newer_version_are_left_alone(store: PostgresStore, url: str) -> None:
    await store.close()
    execute(url, "UPDATE turnline_schema SET version = 99")
    with pytest.raises(StoreUnavailable, match="newer version"):
        await PostgresStore(url).open()
    assert execute(url, "SELECT version FROM turnline_schema") == [(99,)]


async def test_processes_that_start_at_once_make_the_tables_once(url: str) -> None:
    stores = [PostgresStore(url, exclusive=False) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    assert execute(url, "SELECT version FROM turnline_schema") == [(len(schema.MIGRATIONS),)]
    for store in stores:
        await store.close()


async def test_a_schema_that_is_not_there_is_said_to_be_missing(url: str) -> None:
    absent = url.replace("search_path%3D", "search_path%3Dnot_")
    with pytest.raises(StoreUnavailable, match="search_path"):
        await PostgresStore(absent).open()


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    store = make_store("postgresql://me:secret@127.0.0.1:1/kept")
    with pytest.raises(StoreUnavailable, match=r"postgresql://127\.0\.0\.1:1/kept") as failure:
        await store.open()
    assert "secret" not in str(failure.value)


async def test_a_user_who_may_not_make_tables_is_told_so(url: str) -> None:
    name = execute(url, "SELECT current_schema()")[0][0]
    execute(url, f"CREATE ROLE r_{name} LOGIN; GRANT USAGE ON SCHEMA {name} TO r_{name}")
    try:
        with pytest.raises(StoreUnavailable, match="permission denied for schema"):
            await PostgresStore(url.replace("//postgres@", f"//r_{name}@")).open()
    finally:
        execute(url, f"DROP OWNED BY r_{name}; DROP ROLE r_{name}")


# Several processes.


async def test_who_took_the_tables_over_meanwhile_keeps_them(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was cut off must not write beside the one that took its place."""
    monkeypatch.setattr(schema, "IN_USE_S", 0.0)
    monkeypatch.setattr(database, "PATIENCE_S", 0.2)
    monkeypatch.setattr(database, "LONGEST_PAUSE_S", 0.1)
    with PostgresProxy(url) as proxy:
        cut_off, other = PostgresStore(proxy.url), PostgresStore(url)
        await cut_off.open()
        proxy.go_away()
        execute(url, END_ITS_SESSION)
        await other.open()
        proxy.come_back()
        with pytest.raises(NothingKept):
            await cut_off.commit(record("a"))
        assert not cut_off.available
        assert await other.commit(record("a")) == 1
        await other.close()
        await cut_off.until_available()
        assert await cut_off.commit(record("b")) == 2
        await cut_off.close()


async def test_commits_of_several_processes_are_numbered_without_a_gap(url: str) -> None:
    stores = [PostgresStore(url, exclusive=False) for _ in range(3)]
    for store in stores:
        await store.open()
    numbers = await asyncio.gather(
        *(stores[number % 3].commit(record(str(number))) for number in range(60))
    )
    assert sorted(numbers) == list(range(1, 61))
    for store in stores:
        await store.close()


async def test_a_schema_that_is_not_there_is_named_as_what_is_missing(url: str) -> None:
    elsewhere = url.partition("options=")[0] + "options=-csearch_path%3Dnot_made"
    store = PostgresStore(elsewhere)
    with pytest.raises(StoreUnavailable, match="no schema of the search_path is there"):
        await store.open()
    await store.close()


async def test_turns_that_nobody_can_ask_for_again_take_no_keys_place_and_go_soon(
    url: str,
) -> None:
    store = PostgresStore(url)
    await store.open()
    now = time.time()
    for name in ("keyed", "plain", "ended-long-ago"):
        key = "k" if name == "keyed" else None
        await store.accept(AcceptedTurn(name, "c", "m", now - 10.0, key=key))
        await store.end(name, Ending(State.FAILED, cause="AgentFailed", ran_s=1.0))
    execute(url, "UPDATE turnline_accepted SET lasting = false WHERE key IS NULL")
    earlier = "UPDATE turnline_accepted SET accepted_at = %s WHERE id = 'ended-long-ago'"
    execute(url, earlier, (now - 400.0,))
    await store.prune(now - 1000.0, 1)
    assert [(await store.find(name)) is not None for name in ("keyed", "plain")] == [True, True]
    assert await store.find("ended-long-ago") is None
    await store.close()


# What it costs.

FILL = """
    INSERT INTO turnline_conversations SELECT 'c' || n, 1 FROM generate_series(1, {0}) AS n;
    INSERT INTO turnline_conversations VALUES ('c', {0});
    INSERT INTO turnline_turns (conversation, number, id, message, reply)
    SELECT 'c', n, 't' || n, 'message', 'reply' FROM generate_series(1, {0}) AS n;
    INSERT INTO turnline_accepted (id, conversation, message, accepted_at, priority, state)
    SELECT 't' || n, 'c', '', n, 3, 'answered' FROM generate_series(1, {0}) AS n;
    ANALYZE turnline_conversations, turnline_turns, turnline_accepted;
"""

WAY: Mapping[str, tuple[str, Any]] = {
    "stands": (statements.STANDS, {"id": "c", "form": "own"}),
    "lately": (statements.LATELY, {"id": "c", "most": 16, "bytes": 10**6}),
    "accept": (
        statements.ACCEPT,
        dict.fromkeys(("deadline_at", "strategy", "more", "key", "digest", "webhook"))
        | {"id": "new", "conversation": "c", "message": b"m", "accepted_at": 1.0, "priority": 3}
        | {"attempts": 0, "request_id": "", "traceparent": "", "lasting": True},
    ),
    "commit": (
        committing.COMMIT,
        committing.values_of(Record("new", "c", "m", "r", left=AgentState("own", b"1"))),
    ),
    "find": (statements.FIND_ACCEPTED, {"id": "t1"}),
    "find in history": (statements.FIND_IN_HISTORY, {"id": "t1"}),
    "list": (statements.SOME, {"first": "c", "last": "c\U0010ffff", "start": 2, "limit": 10}),
}


async def test_each_step_of_a_turns_way_costs_the_same_however_much_there_is(
    store: PostgresStore, url: str
) -> None:
    """I-27: in pages that are touched, of which each index has a few more."""
    execute(url, FILL.format(20))
    few = {name: pages_touched(url, *step) for name, step in WAY.items()}
    execute(url, "TRUNCATE turnline_conversations, turnline_turns, turnline_accepted")
    execute(url, FILL.format(10_000))
    many = {name: pages_touched(url, *step) for name, step in WAY.items()}
    assert {name for name in WAY if not 0 < many[name] <= 2 * few[name] + 10} == set()


def pages_touched(url: str, sql: str, values: Any) -> int:
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}".encode()
    with psycopg.connect(url) as connection:
        row = connection.execute(explain, values).fetchone()
        connection.rollback()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


async def test_what_a_turn_begins_with_is_bounded_in_bytes(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        await store.commit(Record(str(number), "c", "m" * 100_000, "r"))
    read: list[int] = []
    _, history = await store.before("c", "own")

    def nothing(conversation: str, first: int, last: int) -> list[tuple[str, str]]:
        read.append(first)
        return []

    monkeypatch.setattr(store, "read", nothing)
    assert len(history) == 16
    assert len(history[-4:]) == 4
    assert read == []
    with pytest.raises(StoreUnavailable):
        list(history[-6:])
    assert read == [6]


async def test_a_read_that_takes_too_long_is_ended_by_the_server(
    url: str,
) -> None:
    store = PostgresStore(f"{url}%20-cstatement_timeout%3D50ms")
    await store.open()
    with pytest.raises(StoreUnavailable) as failure:
        await store.database.read(lambda db: db.execute("SELECT pg_sleep(60)").fetchall())
    assert isinstance(failure.value.__cause__, psycopg.errors.QueryCanceled)
    assert await store.commit(record("a")) == 1
    await store.close()


END_ITS_SESSION = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
    WHERE locktype = 'advisory' AND (classid::bigint << 32) | objid::bigint
    = hashtextextended('turnline ' || current_schema(), 0)
"""
"""As the server does when it finds out that a client is gone."""
