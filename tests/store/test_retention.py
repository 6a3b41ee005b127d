"""What every store promises of conversations that nobody uses any more."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.store.archive import KeptConversation, KeptTurn
from runner.store.base import AcceptedTurn, AgentState, Ending, Record, Store
from runner.store.sqlite import SqliteStore
from strategies import State
from tests.support.stores import KINDS, opened

SINCE = 1_700_000_000.0
FAILED = Ending(State.FAILED, cause="AgentFailed")


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as made:
        yield made


def kept(name: str, *ages_s: float) -> KeptConversation:
    """With turns that were kept so long before SINCE."""
    turns = [
        KeptTurn(number, f"{name}-{number}", "m", "r", SINCE - age_s)
        for number, age_s in enumerate(ages_s, 1)
    ]
    return KeptConversation(name, len(turns), None, (), turns)


def accepted(name: str, conversation: str, at: float) -> AcceptedTurn:
    return AcceptedTurn(name, conversation, "m", at)


async def test_conversations_without_a_turn_since_are_idle_the_longest_time_first(
    store: Store,
) -> None:
    await store.restore([kept("a", 900, 10), kept("b", 30, 20), kept("ann/c", 5), kept("d", -5)])
    assert await store.idle(SINCE, 9) == ["b", "a", "ann/c"]
    assert await store.idle(SINCE, 2) == ["b", "a"]
    assert await store.idle(SINCE - 10, 9) == ["b"]
    assert await store.idle(SINCE - 900, 9) == []


async def test_a_conversation_is_not_idle_any_more_once_it_has_another_turn(store: Store) -> None:
    await store.restore([kept("c", 20), kept("other", 10)])
    await store.commit(Record("new", "c", "m", "r"))
    assert await store.idle(SINCE, 9) == ["other"]
    assert not await store.forget("c", SINCE)
    assert await store.turns("c") == 2


async def test_a_conversation_ages_from_its_last_turn_and_not_from_its_first(store: Store) -> None:
    for name in "ab":
        await store.commit(Record(name, "c", "m", "r"))
    now = time.time()
    assert await store.idle(now - 60, 9) == []
    assert await store.idle(now + 60, 9) == ["c"]


@pytest.mark.parametrize("ending", [None, FAILED], ids=["unfinished", "failed lately"])
async def test_a_conversation_with_an_accepted_turn_is_not_idle(
    store: Store, ending: Ending | None
) -> None:
    """The unfinished is about to run; the failed one can be asked for until it is old itself."""
    await store.restore([kept("c", 10)])
    await store.accept(accepted("t", "c", SINCE - 10 if ending is None else SINCE))
    if ending is not None:
        await store.end("t", ending)
    assert await store.idle(SINCE, 9) == []
    assert not await store.forget("c", SINCE)
    assert await store.turns("c") == 1


async def test_an_accepted_turn_of_another_conversation_keeps_none(store: Store) -> None:
    await store.restore([kept("c", 10)])
    await store.accept(accepted("t", "ann/c", SINCE))
    assert await store.idle(SINCE, 9) == ["c"]


async def test_what_is_idle_is_forgotten_with_all_that_belongs_to_it(store: Store) -> None:
    ended = replace(accepted("old", "c", SINCE - 20), message="", ending=FAILED)
    turn = KeptTurn(1, "t", "m", "r", SINCE - 10, merged=("with t",))
    state = AgentState("own", b"1")
    await store.restore([KeptConversation("c", 1, "digest", (state,), [turn, ended])])
    assert await store.forget("c", SINCE)
    assert [await store.find(name) for name in ("t", "with t", "old")] == [None] * 3
    assert (await store.turns("c"), await store.agent_state("c", "own")) == (0, None)
    assert await store.said("digest", 9) == []
    assert await store.commit(Record("t", "c", "m", "r")) == 1


async def test_what_is_gone_or_never_was_there_is_not_forgotten_as_idle(store: Store) -> None:
    await store.restore([kept("c", 10)])
    assert await store.forget("c", SINCE)
    assert not await store.forget("c", SINCE)
    assert not await store.forget("nobody", SINCE)


async def test_a_conversation_that_is_used_again_is_not_looked_at_any_more(
    tmp_path: Path,
) -> None:
    """I-27: SQLite finds the idle by `last_at`, which is not exact, and must not fall behind."""
    store = SqliteStore(tmp_path / "kept.db")
    await store.open()
    await store.restore([kept("c", 10)])
    before = time.time()
    for name in ("one", "two"):
        await store.commit(Record(name, "c", "m", "r"))
    sql = "SELECT last_at FROM conversations"
    (last_at,) = await store.database.read(lambda db: db.execute(sql).fetchone())
    assert before - 1 < last_at < time.time() + 1
    await store.close()


async def test_without_an_instant_it_is_forgotten_however_young(store: Store) -> None:
    await store.commit(Record("t", "c", "m", "r"))
    assert await store.forget("c")
    assert await store.turns("c") == 0
