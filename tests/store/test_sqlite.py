"""What only the durable store promises: I-18, I-23, I-24."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
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


async def test_once_it_is_closed_all_of_it_is_in_one_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    await store.commit(RECORD)
    assert await store.turns("c") == 1
    await store.close()
    assert os.listdir(tmp_path) == ["kept.db"]


@pytest.mark.parametrize("how", ["backup", "vacuum"])
async def test_a_copy_of_a_store_in_use_is_a_store(tmp_path: Path, how: str) -> None:
    copy = tmp_path / "copy.db"
    store = SqliteStore(tmp_path / "runner.db")
    await store.open()
    await store.commit(RECORD)
    with closing(sqlite3.connect(tmp_path / "runner.db")) as beside:
        if how == "backup":  # As `.backup` of sqlite3 does it.
            with closing(sqlite3.connect(copy)) as target:
                beside.backup(target)
        else:
            beside.execute("VACUUM INTO ?", (str(copy),))
    await store.close()
    copied = SqliteStore(copy)
    await copied.open()
    assert await copied.commit(Record("id-2", "c", "message", "reply")) == 2
    await copied.close()


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
    "idle": lambda store: store.idle(1.0, 10),
    "forget if idle": lambda store: store.forget("c", 1.0),
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
                if re.match(r"SCAN (turns|accepted|conversations|a|c|t)\b", line)
            ]
            by_order = [line for line in scans if "INDEX ended" in line]  # Up to an OFFSET.
            assert scans == by_order, sql
            assert not [line for line in plan if "TEMP B-TREE" in line], sql


async def test_a_state_is_seen_however_often_there_was_none_before(tmp_path: Path) -> None:
    """That there is none is known without reading, for a turn of an agent without costs nothing."""
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    for number in range(3):
        assert await store.agent_state("c", "own") is await store.agent_state("c", "own") is None
        left = AgentState("own", str(number).encode())
        await store.commit(Record(str(number), "c", "message", "reply", left=left))
        assert await store.agent_state("c", "own") == left
        await store.forget("c")
    await store.close()


async def test_no_file_is_read_for_a_state_that_is_known_to_be_none(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    for number in range(MOST_STATELESS + 10):
        await store.agent_state(str(number), "own")
    await store.close()
    assert await store.agent_state(str(MOST_STATELESS), "own") is None
    with pytest.raises(StoreUnavailable):
        await store.agent_state("0", "own")  # The one that was asked for longest ago.


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
