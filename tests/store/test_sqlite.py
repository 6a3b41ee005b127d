"""What only the durable store promises: I-18, I-23, I-24."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runner.store.base import (
    AcceptedTurn,
    AgentState,
    Ending,
    Record,
    StoreInUse,
    StoreUnavailable,
)
from runner.store.sqlite import MOST_STATELESS, SqliteStore
from strategies import State

RECORD = Record("id", "c", "message", "reply")


async def test_what_was_kept_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    for number in (1, 2):
        store = SqliteStore(tmp_path / "kept.db")
        await store.open()
        assert await store.commit(Record(str(number), "c", "message", "reply")) == number
        await store.close()


@pytest.mark.parametrize("name", ["kept.db", "link.db"])
async def test_a_second_one_on_the_same_file_is_refused_by_whatever_name(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "kept.db")
    first, second = SqliteStore(tmp_path / "kept.db"), SqliteStore(tmp_path / name)
    await first.open()
    with pytest.raises(StoreInUse, match=r"kept\.db"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


async def test_a_turn_that_is_kept_already_is_not_kept_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    await store.commit(RECORD)
    with pytest.raises(StoreUnavailable):
        await store.commit(RECORD)
    assert len(await store.messages("c")) == 2
    await store.close()


async def test_while_another_program_holds_the_file_a_commit_fails_and_then_works(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    other = sqlite3.connect(tmp_path / "kept.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable) as failure:
        await store.commit(RECORD)
    assert failure.value.outcome == "rolled_back"
    other.execute("ROLLBACK")
    other.close()
    assert await store.commit(RECORD) == 1
    await store.close()


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    newer = sqlite3.connect(tmp_path / "kept.db")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreUnavailable) as failure:
        await SqliteStore(tmp_path / "kept.db").open()
    assert "newer" in str(failure.value.__cause__)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnavailable):
        await SqliteStore(tmp_path / "kept.db").open()


async def test_a_folder_that_is_not_there_is_an_error_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await SqliteStore(tmp_path / "nowhere" / "kept.db").open()


async def test_a_read_however_long_does_not_hold_up_a_commit(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    await store.commit(RECORD)
    committed = threading.Event()

    def long_read(connection: sqlite3.Connection) -> int:
        cursor = connection.execute("SELECT id FROM turns")
        assert committed.wait(30)
        return len(cursor.fetchall())

    reading = asyncio.create_task(store.database.read(long_read))
    await asyncio.sleep(0)
    assert await store.commit(Record("second", "c", "message", "reply")) == 2
    committed.set()
    found = await reading
    assert found >= 1
    await store.close()


async def test_what_stands_in_line_is_kept_before_the_store_closes(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    records = [Record(str(number), "c", "message", "reply") for number in range(300)]
    commits = [asyncio.ensure_future(store.commit(record)) for record in records]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*commits) == list(range(1, 301))


async def test_a_child_that_was_forked_reads_by_itself_and_harms_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    await store.commit(RECORD)
    history = store.history("c")
    assert len(history) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Other threads, which only wait.
        child = os.fork()
    if child == 0:  # Whatever happens, this process goes no further.
        try:
            signal.alarm(30)
            os._exit(0 if history[-1]["content"] == "reply" else 1)
        finally:
            os._exit(2)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert await store.commit(Record("second", "c", "message", "reply")) == 2
    await store.close()


HOT: dict[str, Callable[[SqliteStore], Awaitable[object]]] = {
    "commit": lambda store: store.commit(RECORD),
    "history": lambda store: store.messages("c"),
    "accept": lambda store: store.accept(AcceptedTurn("a", "c", "m", 1.0)),
    "begin": lambda store: store.begin(["a"]),
    "end": lambda store: store.end("a", Ending(State.FAILED)),
    "find": lambda store: store.find("nobody"),
    "list": lambda store: store.conversations("", 10),
    "prune": lambda store: store.prune(1.0, 10),
    "forget": lambda store: store.forget("c"),
}


async def test_no_statement_of_a_turns_way_scans_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    connect = sqlite3.connect

    def listening(*args: Any, **options: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*args, **options)
        made.set_trace_callback(said.append)
        return made

    monkeypatch.setattr(sqlite3, "connect", listening)
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    said.clear()
    for step in HOT.values():
        await step(store)
    await store.close()
    statements = [sql for sql in said if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)", sql)]
    assert len(statements) >= len(HOT)
    with closing(connect(tmp_path / "kept.db")) as connection:
        for sql in statements:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
            scans = [
                line
                for line in plan
                if re.match(r"SCAN (turns|accepted|conversations|a|t)\b", line)
            ]
            by_order = [line for line in scans if "INDEX ended" in line]  # Up to an OFFSET.
            assert scans == by_order, sql
            assert not [line for line in plan if "TEMP B-TREE" in line], sql


async def test_a_state_is_seen_however_often_there_was_none_before(tmp_path: Path) -> None:
    """That there is none is known without reading, for a turn of an agent without costs nothing."""
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    for number in range(3):
        assert store.agent_state("c", "own") is store.agent_state("c", "own") is None
        left = AgentState("own", str(number).encode())
        await store.commit(Record(str(number), "c", "message", "reply", left=left))
        assert store.agent_state("c", "own") == left
        await store.forget("c")
    await store.close()


async def test_no_file_is_read_for_a_state_that_is_known_to_be_none(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    for number in range(MOST_STATELESS + 10):
        store.agent_state(str(number), "own")
    await store.close()
    assert store.agent_state(str(MOST_STATELESS), "own") is None
    with pytest.raises(StoreUnavailable):
        store.agent_state("0", "own")  # The one that was asked for longest ago.


@pytest.mark.parametrize("opened", ["kept.db", "link.db"])
@pytest.mark.parametrize("name", ["kept.db", "kept.db-wal"])
async def test_a_file_that_was_removed_under_the_store_is_noticed(
    tmp_path: Path, name: str, opened: str
) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "kept.db")
    store = SqliteStore(tmp_path / opened)
    await store.open()
    await store.commit(RECORD)
    (tmp_path / name).unlink()
    with pytest.raises(StoreUnavailable):
        await store.commit(Record("lost", "c", "message", "reply"))
    await store.close()
