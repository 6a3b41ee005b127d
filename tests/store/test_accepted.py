"""What every store promises of accepted turns: I-3, I-18."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from runner.store import make_store
from runner.store.base import AcceptedTurn, AgentState, Ending, Record, Store, StoreUnavailable
from runner.store.transactions import MIGRATIONS
from strategies import State
from tests.support.stores import DURABLE, KINDS, opened

FAILED = Ending(State.FAILED, cause="AgentFailed", detail="x", outcome="rolled_back", ran_s=1.5)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as made:
        yield made


def turn(
    name: str, conversation: str = "c", at: float = 1.0, key: str | None = None
) -> AcceptedTurn:
    return AcceptedTurn(name, conversation, f"message {name}", at, key=key, digest=key)


async def test_unfinished_turns_are_given_in_the_order_of_acceptance(store: Store) -> None:
    for name in ("b", "a", "c"):
        await store.accept(turn(name))
    await store.end("a", FAILED)
    assert [kept.id for kept in await store.unfinished()] == ["b", "c"]
    assert (await store.unfinished())[0] == turn("b")


async def test_each_begin_is_one_attempt_more(store: Store) -> None:
    await store.accept(turn("a"))
    await store.begin(["a"])
    await store.begin(["a"])
    found = await store.find("a")
    assert found is not None
    assert found.attempts == 2


async def test_an_agent_is_not_begun_for_a_turn_that_is_not_written_down(store: Store) -> None:
    await store.accept(turn("a"))
    with pytest.raises(StoreUnavailable):
        await store.begin(["a", "b"])
    found = await store.find("a")
    assert found is not None
    assert found.attempts == 0


async def test_a_commit_ends_the_turns_that_it_answers_and_no_other(store: Store) -> None:
    for name in "abc":
        await store.accept(turn(name))
    number = await store.commit(Record("a", "c", "m", "words", ("a", "b"), State.INTERRUPTED))
    for name in "ab":
        found = await store.find(name)
        assert found is not None
        assert found.ending is not None
        ending = found.ending
        assert (ending.state, ending.reply, ending.number) == (State.INTERRUPTED, "words", number)
    assert [kept.id for kept in await store.unfinished()] == ["c"]


async def test_each_of_the_turns_that_were_merged_is_found_in_the_history(store: Store) -> None:
    """I-2: those too that nobody was promised, and until they are forgotten."""
    number = await store.commit(Record("a", "c", "m", "words", ("a", "b", "d")))
    found = [await store.find(name) for name in "abd"]
    assert [turn and (turn.id, turn.conversation) for turn in found] == [
        (name, "c") for name in "abd"
    ]
    assert {turn.ending for turn in found if turn} == {Ending(State.ANSWERED, "words", number)}
    await store.forget("c")
    assert [await store.find(name) for name in "abd"] == [None] * 3


async def test_how_long_a_turn_waited_and_ran_is_kept_with_its_reply(store: Store) -> None:
    for name in "ab":
        await store.accept(turn(name))
    waited_s = {"a": 1.5, "b": 0.5}
    await store.commit(Record("a", "c", "m", "r", ("a", "b"), waited_s=waited_s, ran_s=2.0))
    for name in "ab":
        found = await store.find(name)
        assert found is not None
        assert found.ending is not None
        assert (found.ending.waited_s, found.ending.ran_s) == (waited_s[name], 2.0)


async def test_instants_move_along_when_the_clock_is_set(store: Store) -> None:
    await store.accept(replace(turn("a", at=10.0), deadline_at=20.0))
    await store.accept(turn("b", at=11.0))
    await store.shift(-5.0)
    moved = [(kept.accepted_at, kept.deadline_at) for kept in await store.unfinished()]
    assert moved == [(5.0, 15.0), (6.0, None)]


async def test_the_first_ending_stays(store: Store) -> None:
    await store.accept(turn("a"))
    await store.end("a", FAILED)
    await store.end("a", Ending(State.CANCELLED))
    found = await store.find("a")
    assert found is not None
    assert found.ending == FAILED


async def test_a_turn_that_is_only_in_the_history_is_found_too(store: Store) -> None:
    await store.commit(Record("plain", "c", "m", "words"))
    found = await store.find("plain")
    assert found is not None
    assert found.ending == Ending(State.ANSWERED, "words", 1)
    assert await store.find("nobody") is None


async def test_old_and_surplus_turns_are_pruned_but_not_the_unfinished(store: Store) -> None:
    for number in range(6):
        await store.accept(turn(str(number), at=float(number)))
        if number != 1:
            await store.end(str(number), FAILED)
    await store.prune(2.0, 2)
    left = [name for name in "012345" if await store.find(name) is not None]
    assert left == ["1", "4", "5"]


async def test_one_callers_surplus_is_pruned_before_the_turns_of_others(store: Store) -> None:
    """I-29"""
    for place, name in enumerate(("b1", "b2", *(f"a{number}" for number in range(9)), "c1")):
        caller = {"a": "ann/", "b": "bob/", "c": ""}[name[0]]
        await store.accept(replace(turn(name, at=float(place)), conversation=f"{caller}c"))
        await store.end(name, FAILED)
    await store.prune(1.0, 5)
    names = ("b1", "b2", *(f"a{number}" for number in range(9)), "c1")
    left = [name for name in names if await store.find(name) is not None]
    assert left == ["b2", "a6", "a7", "a8", "c1"]


async def test_keyed_turns_are_given_with_their_keys(store: Store) -> None:
    await store.accept(turn("a", key="k"))
    await store.accept(turn("b"))
    assert [(kept.id, kept.key, kept.digest) for kept in await store.keyed()] == [("a", "k", "k")]


async def test_conversations_are_found_by_the_letters_of_their_prefix(store: Store) -> None:
    for name in ("a_b/x", "acb/x", "a%b/x"):
        await store.commit(Record(name, name, "m", "r"))
    assert await store.conversations("a_b/", 0) == ({"a_b/x": 1}, 1)
    assert await store.conversations("a%b/", 0) == ({"a%b/x": 1}, 1)
    assert await store.conversations("a%b/y", 0) == ({}, 0)


async def test_conversations_are_listed_by_name_up_to_a_limit_with_how_many_there_are(
    store: Store,
) -> None:
    for name in ("b", "a", "c", "é", "x/y", "b"):
        await store.commit(Record(f"{name}-{await store.turns(name)}", name, "m", "r"))
    kept, total = await store.conversations("", 2)
    assert list(kept.items()) == [("a", 1), ("b", 2)]
    assert total == 4
    kept, total = await store.conversations("", 0)
    assert (list(kept), total) == (["a", "b", "c", "é"], 4)
    assert await store.conversations("x/", 0) == ({"x/y": 1}, 1)
    assert await store.conversations("nobody", 0) == ({}, 0)


async def test_turns_counts_those_of_one_conversation(store: Store) -> None:
    for number in range(3):
        await store.commit(Record(str(number), "c", "m", "r"))
    assert [await store.turns(name) for name in ("c", "b", "c/d", "")] == [3, 0, 0, 0]


async def test_what_is_forgotten_is_gone_and_what_is_unfinished_stays(store: Store) -> None:
    await store.accept(turn("a"))
    await store.commit(Record("a", "c", "m", "r"))
    await store.accept(turn("b"))
    await store.forget("c")
    assert await store.messages("c") == []
    assert await store.find("a") is None
    assert [kept.id for kept in await store.unfinished()] == ["b"]


# What was asked and answered besides the texts.

LEFT = AgentState("own", b'{"a": 1}', b'[{"id": "r1"}]', b'{"a": 0}')


async def test_what_a_turn_left_is_given_until_another_leaves_something(store: Store) -> None:
    assert await store.agent_state("c", "own") is None
    await store.commit(Record("a", "c", "m", "r", left=LEFT))
    assert await store.agent_state("c", "own") == LEFT
    await store.commit(Record("b", "c", "m", "r"))
    assert await store.agent_state("c", "own") == LEFT
    last = AgentState("own", b"2")
    await store.commit(Record("d", "c", "m", "r", left=last))
    assert await store.agent_state("c", "own") == last
    assert await store.agent_state("other", "own") is None


async def test_a_turn_that_is_refused_a_second_time_changes_no_state(store: Store) -> None:
    """I-3, I-28"""
    await store.commit(Record("a", "c", "m", "r", left=LEFT))
    with pytest.raises(StoreUnavailable):
        await store.commit(Record("a", "c", "m", "r", left=AgentState("own", b"2")))
    assert await store.agent_state("c", "own") == LEFT


async def test_what_was_forgotten_left_nothing(store: Store) -> None:
    await store.commit(Record("a", "c", "m", "r", left=LEFT))
    await store.forget("c")
    assert await store.agent_state("c", "own") is None


async def test_turns_that_have_ended_are_listed_by_conversation_the_latest_first(
    store: Store,
) -> None:
    await store.accept(turn("failed", at=1.0))
    await store.end("failed", FAILED)
    for name in ("merged", "b"):
        await store.accept(turn(name, at=2.0))
    await store.commit(Record("a", "c", "m", "r"))
    await store.commit(Record("b", "c", "m", "r", ("merged", "b")))
    await store.commit(Record("elsewhere", "other", "m", "r"))
    await store.accept(turn("waits"))
    places, total = await store.ended("c", None, 10)
    assert total == 4
    assert [place[2] for place in places] == ["merged", "b", "a", "failed"]
    assert [place[1] for place in places] == [2, 2, 1, 0]
    for _, _, turn_id in places:
        found = await store.find(turn_id)
        assert found is not None
        assert found.ending is not None
    paged: list[str] = []
    before = None
    for _ in range(4):
        ([before], total) = await store.ended("c", before, 1)
        assert total == 4
        paged.append(before[2])
    assert paged == [place[2] for place in places]
    assert await store.ended("c", before, 1) == ([], 4)
    await store.forget("c")
    assert await store.ended("c", None, 10) == ([], 0)


@pytest.mark.parametrize("answers", [("a",), ("a", "b")], ids=["alone", "merged"])
@pytest.mark.parametrize("accepted", [True, False])
async def test_output_and_requests_are_found_with_each_turn_that_they_answer(
    store: Store, answers: tuple[str, ...], accepted: bool
) -> None:
    for name in answers if accepted else ():
        await store.accept(turn(name))
    record = Record("a", "c", "m", "r", answers, output=b'{"x": 1}', left=LEFT)
    await store.commit(record)
    for name in answers:
        found = await store.find(name)
        assert found is not None
        assert found.ending is not None
        assert (found.ending.output, found.ending.requests) == (record.output, LEFT.requests)


@pytest.mark.parametrize("ends", ["with a reply", "refused"])
async def test_what_was_asked_is_there_until_the_turn_has_ended(store: Store, ends: str) -> None:
    await store.accept(replace(turn("a"), more=b'{"metadata": {"k": "v"}}'))
    (kept,) = await store.unfinished()
    assert (kept.message, kept.more) == ("message a", b'{"metadata": {"k": "v"}}')
    if ends == "refused":
        await store.end("a", replace(FAILED, requests=LEFT.requests))
    else:
        await store.commit(Record("a", "c", "m", "r"))
    found = await store.find("a")
    assert found is not None
    assert (found.message, found.more) == ("", None)
    assert found.ending is not None
    assert found.ending.requests is None


async def test_a_turn_that_has_not_ended_is_given_a_webhook(store: Store) -> None:
    await store.accept(turn("a"))
    for url in ("https://hooks.example/1", "https://hooks.example/2"):
        assert await store.hook("a", url)
    (kept,) = await store.untold()
    assert kept.webhook == "https://hooks.example/2"
    await store.told("a")
    await store.end("a", FAILED)
    assert not await store.hook("a", "https://hooks.example/")
    assert not await store.hook("unknown", "https://hooks.example/")
    assert await store.untold() == []


async def test_a_webhook_is_outstanding_until_it_is_told(store: Store) -> None:
    await store.accept(replace(turn("a"), webhook="https://hooks.example/"))
    await store.accept(turn("b"))
    await store.end("a", Ending(State.CANCELLED, cause="TurnCancelled"))
    (kept,) = await store.untold()
    assert (kept.id, kept.webhook) == ("a", "https://hooks.example/")
    await store.told("a")
    await store.told("unknown")
    assert await store.untold() == []
    found = await store.find("a")
    assert found is not None
    assert found.ending is not None


# SQLite alone: its earlier versions.


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
async def test_a_file_of_an_earlier_version_keeps_its_history(tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.executescript(f"{''.join(MIGRATIONS[:version])} PRAGMA user_version = {version};")
        old.execute(
            "INSERT INTO turns (conversation, number, id, message, reply) VALUES (?, ?, ?, ?, ?)",
            ("c", 1, "t", "before", "reply"),
        )
        if version >= 2:
            columns = "id, conversation, message, accepted_at, priority"
            sql = f"INSERT INTO accepted ({columns}) VALUES ('w', 'c', 'waits', 1.0, 3)"
            old.execute(sql)
        if version >= 3:
            old.execute("INSERT INTO conversations (id) VALUES ('c')")
        old.commit()
    store = make_store(f"sqlite:///{tmp_path}/old.db")
    await store.open()
    assert [said["content"] for said in await store.messages("c")] == ["before", "reply"]
    assert await store.commit(Record("u", "c", "after", "reply")) == 2
    assert await store.conversations("", 0) == ({"c": 2}, 1)
    found = await store.find("t")
    assert found is not None
    assert found.ending == Ending(State.ANSWERED, "reply", 1)
    waiting = [kept.id for kept in await store.unfinished()]
    assert waiting == (["w"] if version >= 2 else [])
    assert await store.agent_state("c", "own") is None
    await store.commit(Record("v", "c", "m", "r", output=b"1", left=LEFT))
    assert await store.agent_state("c", "own") == LEFT
    await store.close()


# What is kept for long.


@pytest.mark.parametrize("store", DURABLE, indirect=True)
async def test_keys_are_read_without_what_was_asked_or_answered(store: Store) -> None:
    """At the start all of them are read, and each may have been a request of a megabyte."""
    await store.accept(replace(turn("a", key="k"), more=b"x" * 1_000))
    await store.commit(Record("a", "c", "m", "r", left=LEFT))
    await store.accept(replace(turn("b", key="l"), more=b"x" * 1_000))
    ending = Ending(State.REFUSED, cause="InputPending", requests=LEFT.requests)
    await store.end("b", ending)
    for kept in await store.keyed():
        assert (kept.message, kept.more) == ("", None)
        assert kept.ending is not None
        assert kept.ending.requests is None


@pytest.mark.parametrize("store", DURABLE, indirect=True)
async def test_writes_that_come_together_are_kept_and_one_that_fails_fails_alone(
    store: Store,
) -> None:
    records = [Record(f"t{number % 99}", "c", "m", "r") for number in range(100)]
    results = await asyncio.gather(
        *(store.commit(record) for record in records), return_exceptions=True
    )
    failed = [number for number, one in enumerate(results) if isinstance(one, BaseException)]
    assert failed == [99]
    assert results[:99] == list(range(1, 100))
    assert len(await store.messages("c")) == 198


async def test_every_text_of_an_accepted_turn_comes_back_as_it_was(store: Store) -> None:
    text = "a\x00b 日本 𝄞 \u202e '; DROP TABLE turnline_accepted; -- %s"
    await store.accept(replace(turn("a"), message=text, more=text.encode()))
    (kept,) = await store.unfinished()
    assert (kept.message, kept.more) == (text, text.encode())
    await store.end("a", replace(FAILED, detail=text))
    found = await store.find("a")
    assert found is not None
    assert found.ending is not None
    assert found.ending.detail == text
