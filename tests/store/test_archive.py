"""What leaves one store and comes into another goes on there as if nothing had happened."""

from __future__ import annotations

import asyncio
import os
import re
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from runner.store.archive import KeptConversation, KeptTurn
from runner.store.archive_lines import of_part
from runner.store.base import (
    AcceptedTurn,
    AgentState,
    IdTaken,
    NothingKept,
    Record,
    Store,
    StoreUnavailable,
)
from runner.store.sqlite import SqliteStore
from tests.store.archives import (
    FAILED,
    HARD,
    fill,
    from_file,
    instants,
    opened,
    seen,
    to_file,
    turn_id,
)
from tests.support.stores import KINDS

AT = re.compile(rb'"(?:exported_)?at":"[^"]*"')
"""SQLite keeps milliseconds, and memory all that there is."""


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path, "kept") as made:
        yield made


@pytest.fixture(params=KINDS, ids=lambda kind: f"to {kind}")
async def other(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path, "other") as made:
        yield made


def kept(name: str, turns: int = 1, first: int = 1) -> KeptConversation:
    parts = [
        KeptTurn(number, turn_id(first + number - 1), "m", "r", 1.0)
        for number in range(1, turns + 1)
    ]
    return KeptConversation(name, turns, None, (), parts)


async def test_through_a_file_nothing_is_lost(store: Store, other: Store) -> None:
    await fill(store)
    before = await seen(store)
    file = to_file(store)
    assert await from_file(other, file) == []
    assert await seen(other) == before
    assert await instants(other) == pytest.approx(await instants(store), rel=0.0, abs=0.002)
    assert AT.sub(b"", to_file(other)) == AT.sub(b"", file)


async def test_the_conversation_goes_on_where_it_was(store: Store, other: Store) -> None:
    await fill(store)
    await from_file(other, to_file(store))
    assert await other.commit(Record(turn_id(20), "a", "m", "r", left=AgentState("own", b"2"))) == 4
    assert await other.agent_state("a", "own") == AgentState("own", b"2")
    assert await other.said("digest of a", 9) == []
    assert await other.commit(Record(turn_id(21), "ann/b", "m", "r")) == 4
    with pytest.raises(StoreUnavailable):
        await other.commit(Record(turn_id(1), "a", "m", "r"))


async def test_turns_that_have_not_ended_are_named_and_stay(store: Store) -> None:
    await fill(store)
    with store.snapshot() as snapshot:
        assert snapshot.unfinished() == ["w"]
        assert [*snapshot.names()] == ["a", "ann/b"]
        assert snapshot.conversation("w") is None


async def test_a_conversation_that_is_there_is_left_as_it_is(store: Store) -> None:
    await store.commit(Record(turn_id(1), "a", "mine", "r", left=AgentState("own", b"1")))
    assert await store.restore([kept("b", 2, 10), kept("a", 3, 20), kept("c", 1, 30)]) == ["a"]
    assert [await store.turns(name) for name in "abc"] == [1, 2, 1]
    assert await store.agent_state("a", "own") == AgentState("own", b"1")
    assert await store.find(turn_id(20)) is None


async def test_a_conversation_that_comes_twice_comes_once(store: Store) -> None:
    assert await store.restore([kept("a", 2, 10), kept("a", 3, 20)]) == ["a"]
    assert await store.turns("a") == 2


TAKEN = {
    "a turn": kept("b", 2, 1),
    "a merged turn": KeptConversation("b", 1, None, (), [
        KeptTurn(1, turn_id(50), "m", "r", 1.0, merged=(turn_id(3),))
    ]),
    "an accepted turn": KeptConversation("b", 1, None, (), [
        KeptTurn(1, turn_id(50), "m", "r", 1.0),
        AcceptedTurn(turn_id(4), "b", "", 1.0, ending=FAILED),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("what", TAKEN)
async def test_an_id_that_is_taken_is_refused_and_nothing_is_kept(store: Store, what: str) -> None:
    await fill(store)
    before = await seen(store)
    with pytest.raises(IdTaken):
        await store.restore([kept("new", 1, 100), TAKEN[what]])
    assert await seen(store) == before
    assert [await store.turns(name) for name in ("new", "b")] == [0, 0]


async def test_what_breaks_in_the_middle_leaves_nothing_behind(store: Store) -> None:
    def breaks() -> Iterator[KeptTurn]:
        yield from (KeptTurn(number, turn_id(number), "m", "r", 1.0) for number in (1, 2))
        raise ValueError("torn")

    torn = KeptConversation("torn", 3, "said", (AgentState("own", b"1"),), breaks())
    with pytest.raises(NothingKept) as failure:
        await store.restore([kept("whole", 1, 10), torn])
    assert str(failure.value.__cause__) == "torn"
    assert [await store.turns(name) for name in ("whole", "torn")] == [0, 0]
    assert await store.agent_state("torn", "own") is None
    assert await store.commit(Record(turn_id(1), "torn", "m", "r")) == 1


async def test_a_state_is_seen_though_there_was_none_a_moment_ago(store: Store) -> None:
    assert await store.agent_state("a", "own") is None
    state = AgentState("own", b"1")
    turn = KeptTurn(1, turn_id(1), "m", "r", 1.0)
    await store.restore([KeptConversation("a", 1, None, (state,), [turn])])
    assert await store.agent_state("a", "own") == state


async def test_a_snapshot_does_not_see_what_is_kept_after_it(store: Store) -> None:
    await store.commit(Record(turn_id(1), "a", "m", "r"))
    with store.snapshot() as snapshot:
        await store.commit(Record(turn_id(2), "a", "m", "r"))
        await store.commit(Record(turn_id(3), "b", "m", "r"))
        assert [*snapshot.names()] == ["a"]
        found = snapshot.conversation("a")
        assert found is not None
        assert (found.last, len([*found.parts])) == (1, 1)


async def test_what_is_forgotten_meanwhile_is_exported_whole(store: Store) -> None:
    for number in range(1, 51):
        await store.commit(Record(turn_id(number), "a", "m", "r"))
    with store.snapshot() as snapshot:
        found = snapshot.conversation("a")
        assert found is not None
        parts = iter(found.parts)
        next(parts)
        await store.forget("a")
        assert len([*parts]) == 49


# SQLite alone.


async def test_a_file_is_exported_while_it_is_held_and_no_write_waits_for_that(
    tmp_path: Path,
) -> None:
    """I-27"""
    held = SqliteStore(tmp_path / "kept.db")
    await held.open()
    await held.commit(Record(turn_id(1), "a", "m", HARD))
    with SqliteStore(tmp_path / "kept.db").snapshot() as snapshot:
        numbers = [await held.commit(Record(turn_id(2 + n), "a", "m", "r")) for n in range(9)]
        assert numbers == [*range(2, 11)]
        found = snapshot.conversation("a")
        assert found is not None
        assert [of_part(part)[:9] for part in found.parts] == [b'{"turn":1']
    await held.close()
    assert os.listdir(tmp_path) == ["kept.db"]


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100])
async def test_what_is_no_store_is_not_read_and_not_made(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "kept.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"kept\.db"), SqliteStore(path).snapshot():
        pass
    assert (path.read_bytes() if path.exists() else None) == content


async def test_neither_side_holds_more_than_a_little_of_a_long_conversation(
    tmp_path: Path,
) -> None:
    turns = 3_000
    text = "x" * 1_000

    def long() -> Iterator[KeptTurn]:
        for number in range(1, turns + 1):
            yield KeptTurn(number, turn_id(number), text, text, 1.0)

    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    file = BytesIO()
    tracemalloc.start()
    await store.restore([KeptConversation("a", turns, None, (), long())])
    with store.snapshot() as snapshot:
        found = snapshot.conversation("a")
        assert found is not None
        for part in found.parts:
            file.seek(0)
            file.write(of_part(part))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await store.close()
    assert peak < turns * len(text) / 10


async def test_an_import_that_is_cancelled_is_whole_or_absent(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    importing = asyncio.ensure_future(store.restore([kept("a", 500)]))
    await asyncio.sleep(0)
    importing.cancel()
    await asyncio.wait([importing])
    await store.commit(Record(turn_id(9_999), "after", "m", "r"))
    assert await store.turns("a") in (0, 500)
    await store.close()
