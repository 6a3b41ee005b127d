"""A SQLite store moves into Postgres whole, or not at all: I-2, I-3, I-18."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.store import make_store
from runner.store.base import (
    AcceptedTurn,
    AgentState,
    Ending,
    Record,
    Store,
    StoreInUse,
    StoreUnavailable,
)
from runner.store.postgres import moving, schema
from runner.store.sqlite import SqliteStore
from strategies import State
from tests.support.stores import new_url

TEXT = "a\x00b 日本 𝄞 \\n \t"
CONVERSATIONS = ("c", "ann/é", "said", "failed")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with new_url("postgres", tmp_path) as made:
        yield made


@pytest.fixture
async def source(tmp_path: Path) -> Path:
    """A store with one of everything."""
    path = tmp_path / "kept.db"
    store = SqliteStore(path)
    await store.open()
    accepted = AcceptedTurn("a", "c", TEXT, 10.5, 20.5, 1, "queue", b"{}", "k", "d", 0)
    for name in ("a", "b", "waits", "failed"):
        await store.accept(replace(accepted, id=name, key=f"k{name}"))
    await store.begin(["waits"])
    await store.hook("waits", "https://hooks.example/")
    await store.end("failed", Ending(State.FAILED, cause="AgentFailed", detail=TEXT, ran_s=1.5))
    left = AgentState("own", b'{"a": 1}', b'[{"id": "r"}]', b"null")
    await store.commit(Record("a", "c", TEXT, TEXT, ("a", "b"), output=b"1", left=left))
    await store.commit(Record("i", "c", "m", "words", state=State.INTERRUPTED))
    await store.commit(Record("e", "ann/é", "", ""))
    await store.commit(Record("s", "said", "m", "r", said="digest", before=((TEXT, TEXT),)))
    await store.close()
    return path


async def told(store: Store) -> dict[str, Any]:
    """All that a store tells of what `source` has."""
    names = ("a", "b", "waits", "failed", "i", "e", "s", "s.1", "nobody")
    return {
        "messages": [await store.messages(name) for name in CONVERSATIONS],
        "found": [await store.find(name) for name in names],
        "unfinished": await store.unfinished(),
        "keyed": await store.keyed(),
        "untold": await store.untold(),
        "said": await store.said("digest", 9),
        "states": [await store.agent_state(name, "own") for name in CONVERSATIONS],
        "ended": [await store.ended(name, None, 9) for name in CONVERSATIONS],
        "conversations": [await store.conversations(prefix, 0) for prefix in ("", "ann/")],
    }


async def all_in(url: str) -> dict[str, Any]:
    store = make_store(url)
    await store.open()
    try:
        return await told(store)
    finally:
        await store.close()


async def test_all_is_there_afterwards_as_it_was(source: Path, url: str) -> None:
    moved = await moving.move(source, url)
    assert moved == moving.Moved(conversations=3, turns=5, accepted=4, unfinished=1)
    there, here = await all_in(f"sqlite:///{source}"), await all_in(url)
    for name, value in there.items():
        assert without_instants(here[name]) == without_instants(value), name


def without_instants(value: Any) -> Any:
    """Of turns that are only in the history SQLite tells the second, Postgres the instant."""
    if isinstance(value, AcceptedTurn):
        return replace(value, accepted_at=int(value.accepted_at))
    if isinstance(value, float):
        return round(value, 2)
    if isinstance(value, list | tuple):
        return [without_instants(one) for one in value]
    return value


async def test_conversations_go_on_where_they_were(source: Path, url: str) -> None:
    await moving.move(source, url)
    store = make_store(url)
    await store.open()
    assert await store.commit(Record("new", "c", "m", "r")) == 3
    await store.accept(AcceptedTurn("later", "c", "m", 30.0))
    assert [turn.id for turn in await store.unfinished()] == ["waits", "later"]
    await store.close()


async def test_what_is_there_already_is_not_added_to(source: Path, url: str) -> None:
    await moving.move(source, url)
    before = await all_in(url)
    with pytest.raises(moving.NotEmpty):
        await moving.move(source, url)
    assert await all_in(url) == before


async def test_where_one_row_does_not_fit_none_is_copied(source: Path, url: str) -> None:
    with closing(sqlite3.connect(source)) as broken, broken:
        broken.execute("UPDATE accepted SET id = 'a' || char(0) WHERE id = 'waits'")
    with pytest.raises(StoreUnavailable):
        await moving.move(source, url)
    store = make_store(url)
    await store.open()
    assert await store.conversations("", 0) == ({}, 0)
    await store.close()


@pytest.mark.parametrize("held", ["there", "here"])
async def test_a_store_that_a_server_has_is_left_alone(
    source: Path, url: str, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "IN_USE_S", 0.0)
    server = make_store(f"sqlite:///{source}" if held == "there" else url)
    await server.open()
    with pytest.raises(StoreInUse):
        await moving.move(source, url)
    await server.close()
    await moving.move(source, url)


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path, url: str) -> None:
    with pytest.raises(FileNotFoundError):
        await moving.move(tmp_path / "nothing.db", url)
    assert not (tmp_path / "nothing.db").exists()
