"""What a store promises that outlives its process: I-18, I-27."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.store import make_store
from runner.store.base import AcceptedTurn, Record, StoreInUse
from runner.store.postgres import schema
from tests.support.stores import DURABLE, new_url

RECORD = Record("id", "c", "message", "reply")


@pytest.fixture(params=DURABLE)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with new_url(request.param, tmp_path) as made:
        yield made


async def test_what_was_kept_is_there_when_it_is_opened_again(url: str) -> None:
    for number in (1, 2):
        store = make_store(url)
        await store.open()
        assert await store.commit(Record(str(number), "c", "message", "reply")) == number
        await store.accept(AcceptedTurn(f"a{number}", "c", "m", 1.0))
        assert len(await store.unfinished()) == number
        await store.close()


async def test_a_second_one_is_refused_until_the_first_is_closed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "IN_USE_S", 0.0)
    first, second = make_store(url), make_store(url)
    await first.open()
    with pytest.raises(StoreInUse):
        await second.open()
    assert await first.commit(RECORD) == 1
    await first.close()
    await second.open()
    await second.close()


async def test_a_read_however_long_does_not_hold_up_a_commit(url: str) -> None:
    store: Any = make_store(url)
    await store.open()
    await store.commit(RECORD)
    began, committed = threading.Event(), threading.Event()

    def long_read(connection: Any) -> int:
        cursor = connection.execute("SELECT 1 AS one UNION ALL SELECT 2")
        began.set()
        assert committed.wait(30)
        return len(cursor.fetchall())

    reading = asyncio.create_task(store.database.read(long_read))
    await asyncio.to_thread(began.wait, 30)
    assert await store.commit(Record("second", "c", "message", "reply")) == 2
    committed.set()
    assert await reading == 2
    await store.close()


async def test_what_stands_in_line_is_kept_before_the_store_closes(url: str) -> None:
    store = make_store(url)
    await store.open()
    records = [Record(str(number), "c", "message", "reply") for number in range(300)]
    commits = [asyncio.ensure_future(store.commit(record)) for record in records]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*commits) == list(range(1, 301))


async def test_an_event_loop_that_is_held_up_holds_up_no_write_that_began(url: str) -> None:
    store: Any = make_store(url)
    await store.open()
    kept = threading.Event()
    write = asyncio.ensure_future(store.database.write(lambda _: kept.set()))
    await asyncio.sleep(0)
    assert kept.wait(30)  # In the event loop, which meanwhile does nothing else.
    await write
    await store.close()
