"""Those who look: what they are told when they are slow, and what is left when they have gone."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from runner.web.reader import Reader
from runner.web.sight import Sight
from runner.web.view import Pace, View
from strategies import ConversationBusy
from tests.turns.stage import Stage

ALL = Sight("", everyone=True, texts=True)


def nothing() -> None:
    """Nobody is to be woken."""


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage("memory:", "notebook")
    await stage.start()
    yield stage
    await stage.stop()


async def until_told(reader: Reader, woken: asyncio.Event) -> bytes:
    async with asyncio.timeout(30):
        while not (text := reader.take()):
            woken.clear()
            await woken.wait()
    return text


def test_a_reader_that_is_behind_loses_the_news_and_asks_for_the_whole() -> None:
    asked: list[bool] = []
    reader = Reader(lambda: asked.append(True), nothing)
    reader.give_whole(b"whole")
    for _ in range(1_000):
        reader.give(b"news")
    assert not asked  # It takes nothing, so the whole would be made in vain.
    assert reader.take() == b""
    assert asked
    reader.give_whole(b"whole again ")
    reader.give(b"news")
    assert [reader.take() for _ in range(3)] == [b"whole again ", b"news", b""]


def test_a_reader_that_keeps_up_is_told_everything_once() -> None:
    reader = Reader(nothing, nothing)
    reader.give_whole(b"whole")
    assert reader.take() == b"whole"
    news = [b"%d" % number for number in range(100)]
    for text in news:
        reader.give(text)
        assert reader.take() is text  # Not a copy of its own.
    assert reader.take() == b""


async def test_a_view_at_which_nobody_looks_any_more_is_held_by_nothing(stage: Stage) -> None:
    tasks, woken = len(asyncio.all_tasks()), asyncio.Event()
    view = View(stage.service, ALL)
    readers = [view.join(woken.set) for _ in range(3)]
    await stage.ask("hello")
    await until_told(readers[0], woken)
    await stage.begin("hello")  # A text is due.
    assert [view.leave(reader) for reader in readers] == [False, False, True]
    left = weakref.ref(view)
    del view, readers
    gc.collect()
    assert left() is None  # No observer, no timer.
    assert len(asyncio.all_tasks()) <= tasks + 1  # That of the turn.


async def test_all_who_see_the_same_are_told_one_text(stage: Stage) -> None:
    view, woken = View(stage.service, ALL), asyncio.Event()
    readers = [view.join(woken.set) for _ in range(5)]
    whole = [reader.take() for reader in readers]
    assert whole == [b""] * 5  # It is made once, for all that have come.
    told = await until_told(readers[0], woken)
    assert all(reader.take() is told for reader in readers[1:])
    for reader in readers:
        view.leave(reader)


async def test_a_refusal_before_the_first_text_is_in_it() -> None:
    stage, pace, woken = Stage("memory:", "notebook", "reject"), Pace(), asyncio.Event()
    await stage.start()
    pace.next_at = asyncio.get_running_loop().time() + 0.1  # Others have left just now.
    view = View(stage.service, ALL, pace)
    reader = view.join(woken.set)
    await stage.begin("hello")
    with pytest.raises(ConversationBusy):
        await stage.begin("hello")
    assert b'"cause":"conversation-busy"' in await until_told(reader, woken)
    view.leave(reader)
    await stage.stop()


async def test_who_comes_when_the_server_has_drained_is_told_all_and_that_it_is_over(
    stage: Stage,
) -> None:
    await stage.ask("hello")
    await stage.service.drain(0.0)
    view = View(stage.service, ALL)
    for reader in (view.join(nothing), view.join(nothing)):
        assert reader.is_over
        assert b'"whole":true' in reader.take()


async def test_a_view_is_held_by_nothing_when_the_server_has_drained(stage: Stage) -> None:
    view, woken = View(stage.service, ALL), asyncio.Event()
    reader = view.join(woken.set)
    await until_told(reader, woken)
    await stage.begin("hello")  # A text is due.
    await stage.service.drain(5.0)
    view.leave(reader)
    left = weakref.ref(view)
    del view, reader
    gc.collect()
    assert left() is None


async def test_the_end_of_the_server_is_told_after_the_last_turn(stage: Stage) -> None:
    view, woken = View(stage.service, ALL), asyncio.Event()
    reader = view.join(woken.set)
    await until_told(reader, woken)
    live = await stage.begin("hello")
    await stage.service.drain(5.0)
    assert reader.is_over
    assert live.turn.id.encode() in reader.take()
    view.leave(reader)
