"""What a store says of writes that failed is true: I-3, I-23, I-31, I-33."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from runner.store.base import AcceptedTurn, NothingKept, Record, StoreInUse, StoreUnavailable
from runner.store.memory import MemoryStore
from runner.store.sqlite import SqliteStore
from tests.store.commits import record, together
from tests.support.stores import DURABLE, KINDS, opened

Fault = Callable[[str, bool], None]
"""Is told each statement, and whether it was done; it may raise."""


class Connection(sqlite3.Connection):
    """SQLite on a disk that fails as the test says."""

    fault: Fault | None = None

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if self.fault is not None:
            self.fault(sql, False)
        done = super().execute(sql, *args)
        if self.fault is not None:
            self.fault(sql, True)
        return done


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **o: connect(*a, **o, factory=Connection))
    made = SqliteStore(tmp_path / "kept.db")
    await made.open()
    yield made
    await made.close()


@contextmanager
def faulty(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "fault", staticmethod(fault))
        yield


def commits_fail(*, after: bool, times: int = 1) -> Fault:
    """From the first one with a turn in it."""
    left, seen = [times], []

    def fault(sql: str, was_done: bool) -> None:
        if "INSERT INTO turns" in sql:
            seen.append(sql)
        if sql == "COMMIT" and seen and was_done == after and left[0]:
            left[0] -= 1
            raise sqlite3.OperationalError("disk I/O error")

    return fault


@pytest.mark.parametrize("names", ["a", "abc"])
async def test_commits_that_took_place_are_acknowledged_though_it_was_not_told(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    with faulty(monkeypatch, commits_fail(after=True)):
        assert await together(store, names) == list(range(1, len(names) + 1))
    assert len(await store.messages("c")) == 2 * len(names)


@pytest.mark.parametrize("names", ["a", "abc"])
async def test_commits_that_did_not_take_place_are_rolled_back_as_soon_as_that_is_sure(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    with faulty(monkeypatch, commits_fail(after=False)):
        assert await together(store, names) == ["rolled_back"] * len(names)
    assert await store.messages("c") == []
    assert await together(store, names) == list(range(1, len(names) + 1))


@pytest.mark.parametrize("after", [True, False])
async def test_while_the_disk_fails_nobody_can_tell(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    with faulty(monkeypatch, commits_fail(after=after, times=2)):
        with pytest.raises(StoreUnavailable) as failure:
            await store.commit(record("a"))
        assert failure.value.outcome == "unknown"
    assert await store.commit(record("b")) in (1, 2)


async def test_one_that_failed_by_itself_is_rolled_back_when_nobody_can_tell_of_the_others(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit(record("there"))
    with faulty(monkeypatch, commits_fail(after=True, times=3)):
        outcomes = await asyncio.gather(
            store.commit(record("a")),
            store.begin(["nobody"]),
            store.commit(record("b")),
            return_exceptions=True,
        )
    seen = [one.outcome for one in outcomes if isinstance(one, StoreUnavailable)]
    assert seen == ["unknown", "rolled_back", "unknown"]


async def test_a_disk_that_takes_nothing_more_leaves_the_outcome_unknown(
    store: SqliteStore, tmp_path: Path
) -> None:
    size = (tmp_path / "kept.db-wal").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(StoreUnavailable) as failure:
            await store.commit(record("a"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert failure.value.outcome == "unknown"
    assert await store.commit(record("a")) == 1


@pytest.mark.parametrize("error", [MemoryError, SystemExit, RecursionError, OSError])
@pytest.mark.parametrize("names", ["a", "abc"])
async def test_whatever_is_raised_in_the_stores_thread_all_who_wait_are_told(
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    names: str,
    error: type[BaseException],
) -> None:
    """I-33"""

    def fault(sql: str, was_done: bool) -> None:
        if "INSERT INTO turns" in sql:
            raise error

    with faulty(monkeypatch, fault):
        assert await together(store, names) == ["rolled_back"] * len(names)
    assert await together(store, names) == list(range(1, len(names) + 1))


async def test_a_rollback_that_fails_does_not_end_the_store(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(sql: str, was_done: bool) -> None:
        if "INSERT INTO turns" in sql or sql == "ROLLBACK":
            raise sqlite3.OperationalError("disk I/O error")

    with faulty(monkeypatch, fault):
        assert await together(store, "a") == ["rolled_back"]
    assert await together(store, "a") == [1]


@pytest.mark.parametrize("kind", DURABLE)
async def test_a_store_that_is_closed_keeps_nothing_and_says_so(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as made:
        await made.close()
        with pytest.raises(NothingKept):
            await made.commit(record("a"))


@pytest.mark.parametrize("kind", KINDS)
async def test_of_a_turn_that_is_kept_already_it_is_not_said_that_nothing_is_kept(
    kind: str, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path) as made:
        await made.commit(record("a"))
        with pytest.raises(StoreUnavailable) as failure:
            await made.commit(record("a"))
        assert failure.value.outcome == "unknown"
        assert len(await made.messages("c")) == 2


async def test_a_turn_that_does_not_fit_into_memory_is_not_kept_in_part() -> None:
    class Heavy(str):
        def __sizeof__(self) -> int:
            raise MemoryError

    store = MemoryStore()
    await store.accept(AcceptedTurn("b", "c", "m", 1.0))
    await store.commit(record("a"))
    heavy = Record("b", "c", "m", Heavy("r"), ("b", "x"))
    with pytest.raises(NothingKept):
        await store.commit(heavy)
    assert await store.find("x") is None
    assert [turn.id for turn in await store.unfinished()] == ["b"]
    assert await store.commit(record("b")) == 2
    new = Record("n", "new", "m", Heavy("r"))
    with pytest.raises(NothingKept):
        await store.commit(new)
    assert await store.conversations("", 0) == ({"c": 2}, 1)


# The file.


async def test_a_second_store_that_is_refused_does_not_drop_the_locks_of_the_first(
    tmp_path: Path,
) -> None:
    """Closing a descriptor drops the locks that its process has on the file, SQLite's too."""
    first = SqliteStore(tmp_path / "kept.db")
    await first.open()
    with pytest.raises(StoreInUse):
        await SqliteStore(tmp_path / "kept.db").open()
    assert "database is locked" in journal_mode(tmp_path / "kept.db", "DELETE").stderr
    assert await first.commit(record("a")) == 1
    await first.close()


async def test_a_new_file_that_cannot_be_used_is_not_left_behind(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(StoreUnavailable):
            await SqliteStore(tmp_path / "kept.db").open()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names_in(tmp_path) == []


async def test_another_programs_database_is_not_even_switched_to_another_journal(
    tmp_path: Path,
) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE something (x)")
        with pytest.raises(StoreUnavailable, match="another program"):
            await SqliteStore(tmp_path / "other.db").open()
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert names_in(tmp_path) == ["other.db"]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def journal_mode(path: Path, mode: str) -> subprocess.CompletedProcess[str]:
    """Another process wants to change it."""
    script = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute(sys.argv[2])"
    command = [sys.executable, "-c", script, str(path), f"PRAGMA journal_mode={mode}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)
