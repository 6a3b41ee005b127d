"""A history costs what is read of it, and never shows half of anything: I-3, I-27."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.agents.base import Message
from runner.store.base import AgentState, Record, Store, StoreUnavailable
from runner.store.history import History
from runner.store.timing import untold
from tests.support.stores import DURABLE, KINDS, opened


class Counting:
    """Has so many turns, and counts what is read of them."""

    took = staticmethod(untold)

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.is_broken = False
        self.spans = 0
        self.read_turns: list[int] = []

    def span(self, conversation: str) -> tuple[int, int]:
        self._check()
        self.spans += 1
        return 1, self.turns

    def read(self, conversation: str, first: int, last: int) -> Sequence[tuple[str, str]]:
        self._check()
        numbers = range(first, last + 1)
        self.read_turns += numbers
        return [(f"message {number}", f"reply {number}") for number in numbers]

    def _check(self) -> None:
        if self.is_broken:
            raise StoreUnavailable


def listed(turns: int) -> list[Message]:
    return list(History(Counting(turns), "c"))


def test_a_history_that_nobody_looks_at_reads_nothing() -> None:
    past = Counting(10_000)
    assert "c" in repr(History(past, "c"))
    assert (past.spans, past.read_turns) == (0, [])


def test_its_length_is_one_look_up_however_often_it_is_asked_for() -> None:
    past = Counting(10_000)
    history = History(past, "c")
    assert (len(history), len(history), bool(history)) == (20_000, 20_000, True)
    assert (past.spans, past.read_turns) == (1, [])


@pytest.mark.parametrize(
    ("look", "turns"),
    [
        (lambda history: history[-4:], [9_999, 10_000]),
        (lambda history: history[-1], [10_000]),
        (lambda history: history[0], [1]),
        (lambda history: history[-3:], [9_999, 10_000]),
        (lambda history: history[0::10_000], [1, 5_001]),
        (lambda history: history[5:5], []),
        (lambda history: next(iter(history)), [1, 2, 3, 4]),
        (lambda history: next(reversed(history)), [9_997, 9_998, 9_999, 10_000]),
    ],
)
def test_what_is_read_is_what_was_asked_for(
    look: Callable[[History], object], turns: list[int]
) -> None:
    past = Counting(10_000)
    look(History(past, "c"))
    assert sorted(past.read_turns) == turns


LOOKS: list[Callable[[Any], Any]] = [
    list,
    len,
    bool,
    lambda history: history[1:5],
    lambda history: history[-3:-1],
    lambda history: history[::-1],
    lambda history: history[::2],
    lambda history: history[1::3],
    lambda history: history[7:2:-2],
    lambda history: history[100:],
    lambda history: list(reversed(history)),
    lambda history: [*history, {"role": "user", "content": "now"}],
    lambda history: history + [{"role": "user", "content": "now"}],  # noqa: RUF005
    lambda history: [{"role": "user", "content": "system"}] + history,  # noqa: RUF005
    lambda history: {"role": "user", "content": "message 2"} in history,
    lambda history: "nobody" in history,
    lambda history: history.index({"role": "assistant", "content": "reply 1"}),
    lambda history: history.count({"role": "user", "content": "message 1"}),
    lambda history: history == listed(5),
    lambda history: listed(5) == history,
    lambda history: history == listed(4),
    lambda history: history == "text",
    lambda history: [(said["role"], said["content"]) for said in history],
]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("turns", [0, 1, 5, 400])
def test_it_does_what_a_list_does(look: Callable[[Any], Any], turns: int) -> None:
    def outcome(history: object) -> object:
        try:
            return look(history)
        except ValueError as error:
            return type(error)

    assert outcome(History(Counting(turns), "c")) == outcome(listed(turns))


@pytest.mark.parametrize("index", [2, -3])
def test_a_place_that_it_does_not_have_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        History(Counting(1), "c")[index]


@pytest.mark.parametrize(
    "made", [copy.copy, copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))]
)
def test_a_copy_is_a_plain_list(made: Callable[[History], Any]) -> None:
    copied = made(History(Counting(3), "c"))
    assert type(copied) is list
    assert copied == listed(3)


def test_the_stores_error_is_raised_and_stays_to_be_seen() -> None:
    past = Counting(3)
    history = History(past, "c")
    assert history.error is None
    past.is_broken = True
    with pytest.raises(StoreUnavailable) as failure:
        list(history)
    past.is_broken = False
    assert len(history) == 6
    assert history.error is failure.value


@pytest.mark.parametrize("read", [0, 1, 3, 10])
def test_what_was_read_already_is_not_read_again(read: int) -> None:
    past = Counting(10)
    known = [(f"message {number}", f"reply {number}") for number in range(11 - read, 11)]
    history = History(past, "c", None, (10, known))
    assert len(history) == 20
    assert list(history) == listed(10)
    assert past.spans == 0
    assert sorted(past.read_turns) == [*range(1, 11 - read)]


# Over the stores.


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as made:
        yield made


async def talk(store: Store, *names: str) -> None:
    for name in names:
        await store.commit(Record(name, "c", f"message {name}", f"reply {name}"))


def contents(history: Sequence[Message]) -> list[str]:
    return [said["content"] for said in history]


async def test_it_holds_what_the_store_gives_as_a_list(store: Store) -> None:
    await talk(store, *"abc")
    assert store.history("c") == await store.messages("c")
    assert store.history("nobody") == []


async def test_its_end_is_that_of_the_first_access(store: Store) -> None:
    await talk(store, *"ab")
    before = store.history("c")
    assert len(before) == 4
    await talk(store, "d")
    assert contents(before) == ["message a", "reply a", "message b", "reply b"]
    assert len(store.history("c")) == 6


@pytest.mark.parametrize(("turns", "first"), [(1, "message c"), (2, "message b"), (9, "message a")])
async def test_turns_bound_it_to_the_last_ones(store: Store, turns: int, first: str) -> None:
    await talk(store, *"abc")
    history = store.history("c", turns)
    assert len(history) == min(6, 2 * turns)
    assert history[0]["content"] == first
    assert history[-1]["content"] == "reply c"


async def test_who_edits_a_message_that_it_gave_does_not_edit_the_past(store: Store) -> None:
    await talk(store, "a")
    history = store.history("c")
    history[0]["content"] = "edited"
    assert history[0]["content"] == "message a"


async def test_one_of_a_forgotten_conversation_shows_no_half_of_it(store: Store) -> None:
    await talk(store, *"abc")
    history = store.history("c")
    assert len(history) == 6
    await store.forget("c")
    with pytest.raises(StoreUnavailable):
        list(history)
    assert history.error is not None


async def test_threads_read_whole_turns_while_others_are_committed(store: Store) -> None:
    def read() -> list[str]:
        return contents(store.history("c"))

    async def commit() -> None:
        await talk(store, *(f"t{number}" for number in range(100)))

    committing = asyncio.create_task(commit())
    seen = await asyncio.gather(*(asyncio.to_thread(read) for _ in range(20)))
    await committing
    whole = contents(store.history("c"))
    for some in seen:
        assert some == whole[: len(some)]
        assert len(some) % 2 == 0


@pytest.mark.parametrize("kind", DURABLE)
async def test_a_closed_store_fails_its_histories(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        history = store.history("c")
        await store.close()
        with pytest.raises(StoreUnavailable):
            len(history)


@pytest.mark.parametrize("turns", [None, 1, 2, 50])
async def test_what_a_turn_begins_with_is_the_same_history(store: Store, turns: int | None) -> None:
    await talk(store, *(str(number) for number in range(40)))
    state, history = await store.before("c", "own", turns)
    assert state is None
    assert history == store.history("c", turns)
    assert contents(history[-50:-10]) == contents(store.history("c", turns)[-50:-10])
    assert contents(history[:4]) == contents(store.history("c", turns)[:4])
    assert history.first == store.history("c", turns).first


async def test_before_anything_was_said_a_turn_begins_with_nothing(store: Store) -> None:
    state, history = await store.before("c", "own")
    assert (state, len(history), list(history)) == (None, 0, [])


async def test_a_turn_begins_with_the_state_that_was_left(store: Store) -> None:
    left = AgentState("own", b'{"a": 1}', b"[]", b"{}")
    await store.commit(Record("a", "c", "m", "r", left=left))
    assert (await store.before("c", "own"))[0] == left
    assert (await store.before("c", "other"))[0] is None
