"""A turn that nobody looks for by what was said pays nothing for those that somebody does."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from runner.store.base import Record
from runner.store.sqlite import SqliteStore


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What SQLite was told to do, by whichever connection."""
    seen: list[str] = []
    connect: Any = sqlite3.connect

    def watched(*args: Any, **more: Any) -> Any:
        connection = connect(*args, **more)
        connection.set_trace_callback(seen.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", watched)
    return seen


async def commits(statements: list[str], folder: Path, *digests: str | None) -> list[str]:
    """The verbs of the last of these commits of one conversation."""
    store = SqliteStore(folder / "kept.db")
    await store.open()
    for number, said in enumerate(digests):
        statements.clear()
        await store.commit(Record(str(number), "c", "message", "reply", said=said))
    found = [" ".join(one.split()[:2]) for one in statements]
    await store.close()
    return found


PLAIN = ["BEGIN IMMEDIATE", "SELECT max(number)", "INSERT INTO", "UPDATE accepted", "COMMIT"]


async def test_a_plain_turn_writes_no_digest(statements: list[str], tmp_path: Path) -> None:
    assert await commits(statements, tmp_path, None, None) == PLAIN


async def test_a_turn_that_is_looked_for_writes_one(statements: list[str], tmp_path: Path) -> None:
    found = await commits(statements, tmp_path, "one", "two")
    assert found == [*PLAIN[:2], "UPDATE conversations", *PLAIN[2:]]


async def test_a_plain_turn_after_it_pays_once(statements: list[str], tmp_path: Path) -> None:
    found = await commits(statements, tmp_path, "one", None, None)
    assert found == PLAIN
