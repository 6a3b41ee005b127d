"""What every store promises: I-2, I-3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runner.store import UnknownStore, make_store
from runner.store.base import Record, Store
from tests.support.stores import KINDS, opened


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as made:
        yield made


def record(name: str, conversation: str = "c") -> Record:
    return Record(f"{conversation}-{name}", conversation, f"message {name}", f"reply {name}")


async def test_turns_are_numbered_from_1_in_each_conversation(store: Store) -> None:
    assert [await store.commit(record(name)) for name in "abc"] == [1, 2, 3]
    assert await store.commit(record("a", "other")) == 1


async def test_history_is_given_oldest_first_with_each_reply_after_its_message(
    store: Store,
) -> None:
    for name in "ab":
        await store.commit(record(name))
    assert await store.messages("c") == [
        {"role": "user", "content": "message a"},
        {"role": "assistant", "content": "reply a"},
        {"role": "user", "content": "message b"},
        {"role": "assistant", "content": "reply b"},
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
async def test_count_takes_messages_from_the_end(store: Store, count: int) -> None:
    for name in "ab":
        await store.commit(record(name))
    whole = await store.messages("c")
    assert await store.messages("c", count) == whole[-count:]


async def test_a_conversation_that_is_not_known_has_no_history(store: Store) -> None:
    assert await store.messages("nobody") == []


async def test_what_is_given_is_the_callers_to_change(store: Store) -> None:
    await store.commit(record("a"))
    (await store.messages("c")).clear()
    assert len(await store.messages("c")) == 2


@pytest.mark.parametrize("text", ["", "a\x00b", "日本 𝄞", "\u202e", "'; DROP TABLE turns; --"])
async def test_every_text_comes_back_as_it_was(store: Store, text: str) -> None:
    await store.commit(Record("id", "c", text, text))
    assert [said["content"] for said in await store.messages("c")] == [text, text]


async def test_commits_at_once_are_all_kept_with_numbers_of_their_own(store: Store) -> None:
    numbers = await asyncio.gather(*(store.commit(record(str(n))) for n in range(50)))
    assert sorted(numbers) == list(range(1, 51))


async def test_a_commit_whose_caller_is_cancelled_is_whole_or_absent(store: Store) -> None:
    tasks = [asyncio.ensure_future(store.commit(record(str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.wait(tasks)
    await store.commit(record("after"))
    history = await store.messages("c")
    assert len(history) % 2 == 0
    kept = {said["content"] for said in history}
    for number in range(1, 20, 2):
        assert {f"message {number}", f"reply {number}"} <= kept


async def test_closing_twice_does_no_harm(store: Store) -> None:
    await store.close()
    await store.close()


@pytest.mark.parametrize("url", ["", "sqlite:///", "sqlite://x", "redis://", "mysql://localhost/x"])
def test_a_url_that_is_not_known_lists_those_that_are(url: str) -> None:
    with pytest.raises(UnknownStore, match="sqlite:///FILE"):
        make_store(url)
