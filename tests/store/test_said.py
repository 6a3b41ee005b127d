"""What every store promises of conversations that are found by what was said, or begin with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runner.store.base import Record, Store, StoreUnavailable
from runner.store.memory import MemoryStore
from tests.support.stores import KINDS, opened

BEFORE = (("who?", "I"), ("why?", "because"))


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as made:
        yield made


def record(turn_id: str, conversation: str = "c", **more: object) -> Record:
    return Record(turn_id, conversation, "message", "reply", **more)  # type: ignore[arg-type]


async def test_a_conversation_is_found_by_what_its_last_turn_said(store: Store) -> None:
    await store.commit(record("1", said="one"))
    assert await store.said("one", 9) == ["c"]
    await store.commit(record("2", said="two"))
    assert (await store.said("one", 9), await store.said("two", 9)) == ([], ["c"])


async def test_a_turn_that_nobody_looks_for_hides_its_conversation(store: Store) -> None:
    await store.commit(record("1", said="one"))
    await store.commit(record("2"))
    assert await store.said("one", 9) == []


async def test_of_many_conversations_that_said_the_same_a_few_are_given(store: Store) -> None:
    for name in "abc":
        await store.commit(record(name, name, said="hello"))
    assert set(await store.said("hello", 9)) == {*"abc"}
    assert len(await store.said("hello", 2)) == 2


async def test_a_conversation_that_was_forgotten_is_not_found(store: Store) -> None:
    await store.commit(record("1", said="one"))
    await store.forget("c")
    assert await store.said("one", 9) == []


async def test_a_conversation_begins_with_what_was_said_elsewhere(store: Store) -> None:
    assert await store.commit(record("1", before=BEFORE)) == 3
    texts = [message["content"] for message in await store.messages("c")]
    assert texts == ["who?", "I", "why?", "because", "message", "reply"]
    assert await store.turns("c") == 3


async def test_only_a_new_conversation_begins_with_something(store: Store) -> None:
    await store.commit(record("1"))
    assert await store.commit(record("2", before=BEFORE)) == 2
    assert len(await store.messages("c")) == 4


async def test_what_was_said_elsewhere_is_kept_with_the_turn_or_not_at_all(store: Store) -> None:
    await store.commit(record("1", "other"))
    with pytest.raises(StoreUnavailable):
        await store.commit(record("1", before=BEFORE, said="one"))
    assert (await store.messages("c"), await store.said("one", 9)) == ([], [])


async def test_all_of_it_is_forgotten(store: Store) -> None:
    await store.commit(record("1", before=BEFORE))
    await store.forget("c")
    assert await store.commit(record("1", before=BEFORE)) == 3


async def test_a_bounded_memory_counts_what_was_said_elsewhere() -> None:
    store = MemoryStore(most_turns=4)
    await store.commit(record("1", "old", said="old"))
    await store.commit(record("2", "new", before=BEFORE))
    assert await store.said("old", 9) == ["old"]
    await store.commit(record("3", "newer"))
    assert await store.said("old", 9) == []
