"""What memory holds has bounds, and what it drops is gone wholly: I-27."""

from __future__ import annotations

import random

import pytest

from runner.store.base import AcceptedTurn, AgentState, Ending, Record, StoreUnavailable
from runner.store.memory import MOST_NUMBERS, MemoryStore


async def commit(store: MemoryStore, conversation: str, *names: str, text: str = "m") -> list[int]:
    return [await store.commit(Record(name, conversation, text, f"reply {name}")) for name in names]


async def test_the_oldest_turns_of_the_conversation_used_longest_ago_go_first() -> None:
    store = MemoryStore(most_turns=4)
    await commit(store, "a", "a1", "a2")
    await commit(store, "b", "b1", "b2")
    store.history("a")
    await commit(store, "c", "c1")
    kept = [name for name in ("a1", "a2", "b1", "b2", "c1") if await store.find(name) is not None]
    assert kept == ["a1", "a2", "b2", "c1"]


async def test_numbers_go_on_counting_though_turns_were_dropped() -> None:
    store = MemoryStore(most_turns=3)
    assert await commit(store, "c", *"abcdefgh") == list(range(1, 9))
    assert [said["content"] for said in store.history("c")[1::2]] == [
        "reply f",
        "reply g",
        "reply h",
    ]
    assert await store.turns("c") == 8


async def test_numbers_go_on_in_a_conversation_of_which_no_turn_is_left() -> None:
    store = MemoryStore(most_turns=1)
    await commit(store, "c", "a", "b")
    await commit(store, "other", "x")
    assert await store.conversations("", 0) == ({"other": 1}, 1)
    assert await commit(store, "c", "d") == [3]


async def test_bytes_are_bounded_too() -> None:
    store = MemoryStore(most_bytes=10_000)
    await commit(store, "c", *map(str, range(100)), text="x" * 1_000)
    assert 5 <= len(store.history("c")) // 2 <= 10


async def test_the_turn_that_was_committed_last_stays_however_large() -> None:
    store = MemoryStore(most_bytes=1)
    await commit(store, "c", "a", "b")
    assert [said["content"] for said in store.history("c")] == ["m", "reply b"]


async def test_memory_that_was_full_and_was_forgotten_takes_as_much_again() -> None:
    store = MemoryStore(most_bytes=100_000)
    await commit(store, "c", *map(str, range(500)))
    as_many = len(store.history("c"))
    await store.forget("c")
    await commit(store, "c", *map(str, range(500)))
    assert len(store.history("c")) == as_many


async def test_a_history_of_which_turns_were_dropped_shows_no_half_of_them() -> None:
    store = MemoryStore(most_turns=3)
    await commit(store, "c", *"abc")
    history = store.history("c")
    assert len(history) == 6
    await commit(store, "c", "d")
    with pytest.raises(StoreUnavailable):
        list(history)


async def test_an_accepted_turn_goes_with_its_reply() -> None:
    store = MemoryStore(most_turns=1)
    await store.accept(AcceptedTurn("a", "c", "m", 1.0))
    await commit(store, "c", "a")
    found = await store.find("a")
    assert found is not None
    assert found.ending is not None
    assert found.ending.reply == "reply a"
    await commit(store, "c", "b")
    assert await store.find("a") is None


async def test_one_callers_flood_pushes_out_its_own_turns() -> None:
    """I-29"""
    store = MemoryStore(most_turns=10)
    await commit(store, "bob/a", "b1", "b2")
    await commit(store, "bob/b", "b3")
    for number in range(50):
        await commit(store, f"ann/{number % 7}", f"a{number}")
    assert [await store.turns("bob/a"), await store.turns("bob/b")] == [2, 1]
    assert len(store.history("bob/a")) == 4
    assert await commit(store, "bob/a", "b4") == [3]


async def test_a_large_turn_pushes_out_the_others_of_its_caller_first() -> None:
    """I-29"""
    store = MemoryStore(most_bytes=20_000)
    await commit(store, "bob/c", *"abc", text="x" * 2_000)
    await commit(store, "ann/c", *"defgh", text="x" * 2_000)
    await commit(store, "ann/d", "large", text="x" * 10_000)
    assert len(store.history("bob/c")) == 6
    assert len(store.history("ann/d")) == 2


async def test_the_turn_that_was_committed_last_stays_among_callers_too() -> None:
    store = MemoryStore(most_turns=1)
    for number, caller in enumerate(("ann", "bob", "ann", "", "ann", "bob")):
        await commit(store, f"{caller}/c" if caller else "c", str(number))
        assert await store.find(str(number)) is not None
        assert number == 0 or await store.find(str(number - 1)) is None


async def test_numbers_of_other_callers_outlive_a_flood_of_conversations() -> None:
    store = MemoryStore(most_turns=1)
    await commit(store, "bob/c", "a", "b")
    for number in range(MOST_NUMBERS + 10):
        await commit(store, f"ann/{number}", str(number))
    assert await commit(store, "bob/c", "c") == [3]


# What turns leave for the next one.


async def leave(store: MemoryStore, conversation: str, name: str, size: int, **more: bytes) -> None:
    left = AgentState("own", b"s" * size, **more)
    await store.commit(Record(name, conversation, "m", "r", left=left))


async def state(store: MemoryStore, conversation: str) -> int | None:
    """How long it is."""
    left = await store.agent_state(conversation, "own")
    return None if left is None or left.state is None else len(left.state)


async def test_states_count_as_what_is_kept_and_go_with_the_last_turn() -> None:
    store = MemoryStore(most_bytes=100_000)
    for number in range(30):
        await leave(store, f"c{number}", str(number), 10_000)
    kept = [number for number in range(30) if await store.turns(f"c{number}")]
    assert kept == [*range(30 - len(kept), 30)]
    assert 5 <= len(kept) <= 10
    assert [await state(store, f"c{number}") for number in range(30)] == [
        10_000 if number in kept else None for number in range(30)
    ]


async def test_a_state_that_is_replaced_counts_once() -> None:
    store = MemoryStore(most_bytes=100_000)
    for number in range(100):
        await leave(store, "c", str(number), 10_000)
    assert len(store.history("c")) // 2 == 100


async def test_requests_and_the_state_before_them_count_too() -> None:
    store = MemoryStore(most_bytes=100_000)
    await leave(store, "old", "old", 10)
    await leave(store, "c", "c", 10, requests=b"r" * 60_000, before=b"b" * 60_000)
    assert await store.find("old") is None
    assert await state(store, "c") == 10


async def test_a_state_stays_while_older_turns_of_its_conversation_go() -> None:
    store = MemoryStore(most_turns=2)
    for number in range(5):
        await leave(store, "c", str(number), number)
    assert (len(store.history("c")), await state(store, "c")) == (4, 4)


async def test_the_state_of_the_last_turn_stays_however_large() -> None:
    store = MemoryStore(most_bytes=1)
    for number in range(3):
        await leave(store, "c", str(number), 10_000 + number)
    assert await state(store, "c") == 10_002


async def test_one_callers_states_push_out_its_own_conversations() -> None:
    """I-29"""
    store = MemoryStore(most_bytes=200_000)
    for number in range(5):
        await leave(store, f"bob/{number}", f"b{number}", 10_000)
    for number in range(100):
        await leave(store, f"ann/{number}", f"a{number}", 20_000)
    assert [await state(store, f"bob/{number}") for number in range(5)] == [10_000] * 5


async def test_memory_takes_as_much_again_after_states_came_and_went() -> None:
    """I-25: whatever was replaced, dropped or forgotten, in any order."""
    store, rng = MemoryStore(most_bytes=300_000), random.Random(7)
    for number in range(3_000):
        conversation = f"{rng.choice(('', 'ann/', 'bob/'))}{rng.randrange(9)}"
        if rng.random() < 0.1:
            await store.forget(conversation)
        elif rng.random() < 0.2:
            await commit(store, conversation, str(number), text="x" * rng.randrange(9_000))
        else:
            await leave(store, conversation, str(number), rng.randrange(30_000))
    for caller in ("", "ann/", "bob/"):
        for number in range(9):
            await store.forget(f"{caller}{number}")
    await commit(store, "old", "old")
    await leave(store, "c", "large", 290_000)
    assert await store.find("old") is not None


async def test_requests_of_a_turn_whose_history_went_are_not_held_any_more() -> None:
    """I-27: the bytes of an accepted turn are those of the history, which is bounded."""
    store = MemoryStore(most_turns=1)
    left = AgentState("own", requests=b"[" + b" " * 100_000 + b"]")
    for name in "ab":
        await store.accept(AcceptedTurn(name, "c", "m", 1.0, key=name))
        await store.commit(Record(name, "c", "m", "r", left=left))
    assert [kept.ending for kept in await store.keyed()] == [
        Ending(kept.ending.state, number=kept.ending.number)
        for kept in await store.keyed()
        if kept.ending is not None
    ]
    found = await store.find("b")
    assert found is not None
    assert found.ending is not None
    assert found.ending.requests == left.requests
