"""The figures of the system: read once a second while somebody looks, and never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from runner.engine.figures import LOOKED_AT_S, Figures, Reading, System
from runner.store.base import StoreUnavailable
from strategies.testing import run


class Postgres:
    """Whose line is as long as the number of times that it was read."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_there = True
        self.answers = asyncio.Event()
        self.answers.set()
        self.figures = Figures("own", self.read, lambda: True)

    async def read(self) -> System:
        await self.answers.wait()
        if not self.is_there:
            raise StoreUnavailable("away")
        self.reads += 1
        return System((), self.reads, 0, 0.0)

    async def asked_for(self, seconds: float, each_s: float = 0.01) -> Reading | None:
        """Ask so often, for so long: what was told last."""
        for _ in range(round(seconds / each_s)):
            self.figures.latest()
            await asyncio.sleep(each_s)
        return self.figures.latest()


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    return wraps(test)(lambda: run(test()))


@in_virtual_time
async def test_however_many_ask_it_is_read_once_a_second() -> None:
    postgres = Postgres()
    await postgres.figures.open()
    reading = await postgres.asked_for(10.0)
    assert reading is not None
    assert reading.age_s <= 1.0
    assert postgres.reads in (10, 11)


@in_virtual_time
async def test_who_asks_each_quarter_of_a_minute_is_told_what_is_a_second_old_at_most() -> None:
    postgres = Postgres()
    await postgres.figures.open()
    reading = await postgres.asked_for(60.0, each_s=15.0)
    assert reading is not None
    assert reading.age_s <= 1.0


@in_virtual_time
async def test_once_nobody_has_asked_for_a_while_it_is_not_read() -> None:
    postgres = Postgres()
    await postgres.figures.open()
    await postgres.asked_for(2.0)
    await asyncio.sleep(LOOKED_AT_S + 1.0)
    before = postgres.reads
    await asyncio.sleep(1_000.0)
    assert postgres.reads == before
    stale = postgres.figures.latest()
    assert stale is not None
    assert stale.age_s > 1_000.0


@in_virtual_time
async def test_while_postgres_does_not_answer_the_last_reading_is_told_with_its_age() -> None:
    postgres = Postgres()
    await postgres.figures.open()
    postgres.answers.clear()
    reading = await postgres.asked_for(30.0)
    assert reading is not None
    assert reading.system.waiting == 1
    assert round(reading.age_s) == 30


@in_virtual_time
async def test_while_postgres_is_away_nothing_is_told_and_then_it_is_read_again() -> None:
    postgres = Postgres()
    await postgres.figures.open()
    postgres.is_there = False
    assert await postgres.asked_for(3.0) is None
    postgres.is_there = True
    reading = await postgres.asked_for(2.0)
    assert reading is not None
    assert reading.age_s <= 1.0


@in_virtual_time
async def test_it_is_not_read_after_its_end() -> None:
    postgres = Postgres()
    await postgres.figures.open()
    await postgres.asked_for(2.0)
    postgres.figures.close()
    await asyncio.sleep(0)
    before = postgres.reads
    await asyncio.sleep(10.0)
    assert postgres.reads == before
