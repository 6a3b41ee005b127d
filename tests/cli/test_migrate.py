"""`runner migrate`: what it says, and its exit status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.store import make_store
from runner.store.base import Record
from tests.support.stores import new_url

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with new_url("postgres", tmp_path) as made:
        yield made


async def keep_a_turn(url: str) -> int:
    store = make_store(url)
    await store.open()
    number = await store.commit(Record(url, "c", "m", "r"))
    await store.close()
    return number


def test_tables_are_made_and_a_second_time_changes_nothing(run: Run, url: str) -> None:
    for _ in range(2):
        status, out, _ = run("migrate", "--store", url, "--json")
        assert (status, json.loads(out)) == (0, {"ready": True, "schema": 1})
    assert asyncio.run(keep_a_turn(url)) == 1


def test_a_sqlite_store_moves_into_postgres(run: Run, url: str, tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path}/old.db"
    asyncio.run(keep_a_turn(source))
    status, out, _ = run("migrate", "--store", url, "--from", source)
    assert status == 0
    assert "1 conversations with 1 turns" in out
    assert asyncio.run(keep_a_turn(url)) == 2
    status, _, err = run("migrate", "--store", url, "--from", source)
    assert status == 1
    assert "empty" in err


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--store", "memory:"), 2, "no tables"),
        (("--store", "sqlite:///a.db", "--from", "sqlite:///b.db"), 2, "into Postgres"),
        (("--store", "postgresql:///x", "--from", "b.db"), 2, "sqlite:///FILE"),
        (("--store", "postgresql://me:secret@127.0.0.1:1/x"), 1, "postgresql://127.0.0.1:1/x"),
        (("--store", "sqlite:///nowhere/a.db"), 1, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, arguments: tuple[str, ...], status: int, says: str
) -> None:
    code, out, err = run("migrate", *arguments)
    assert (code, out) == (status, "")
    assert says in err
    assert "secret" not in err


def test_a_sqlite_store_is_brought_to_this_version_too(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("migrate", "--store", f"sqlite:///{tmp_path}/new.db")
    assert (status, out) == (0, "The store is ready.\n")
