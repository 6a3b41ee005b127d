"""Bodies that arrive: what they hold together, and how it is shared."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from runner.api.body import Arriving, Bodies, ClientLeft
from runner.api.problems import RequestError
from runner.settings import ServerSettings

SETTINGS = ServerSettings(
    max_body_bytes=100, max_bodies_bytes=1_000, tokens=("ann:a-token", "bob:b-token")
)
UNKNOWN_LENGTH = {b"transfer-encoding": b"chunked"}


def arriving(chunks: Iterable[bytes], *, ends: bool = True) -> Arriving:
    """A body in these chunks, whose end comes with them or never."""
    events = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if ends:
        events.append({"type": "http.request"})
    coming = iter(events)

    async def receive() -> Any:
        for event in coming:
            return event
        return await asyncio.Event().wait()

    return Arriving(UNKNOWN_LENGTH, receive)


async def hold(bodies: Bodies, caller: str, count: int, size: int) -> list[asyncio.Task[bytes]]:
    """Readers of as many bodies that never end."""
    reads = [bodies.read(arriving([b"x" * size], ends=False), caller) for _ in range(count)]
    tasks = [asyncio.create_task(read) for read in reads]
    await asyncio.sleep(0)
    return tasks


def refused(tasks: list[asyncio.Task[bytes]]) -> int:
    return sum(isinstance(task.exception(), RequestError) for task in tasks if task.done())


async def let_go(tasks: list[asyncio.Task[bytes]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_of_two_callers_fills_half_of_the_room() -> None:
    bodies = Bodies(SETTINGS)
    tasks = await hold(bodies, "ann", 8, 100)
    assert refused(tasks) == 3
    await let_go(tasks)


async def test_however_many_callers_flood_the_next_finds_room() -> None:
    bodies = Bodies(SETTINGS)
    tasks = [one for name in "abcdefgh" for one in await hold(bodies, name, 20, 100)]
    assert await bodies.read(arriving([b"hello"]), "next") == b"hello"
    await let_go(tasks)


async def test_each_caller_finds_room_for_one_body_however_many_there_are() -> None:
    tokens = tuple(f"{name}:{name}-token" for name in "abcdefghijklmnopqrst")
    bodies = Bodies(SETTINGS.model_copy(update={"tokens": tokens}))
    tasks = [one for name in "abcdefghijklmnopqrs" for one in await hold(bodies, name, 20, 100)]
    assert await bodies.read(arriving([b"x" * 100]), "t") == b"x" * 100
    await let_go(tasks)


async def test_whatever_ends_a_body_gives_its_room_back() -> None:
    bodies = Bodies(SETTINGS)
    for _ in range(3):
        await let_go(await hold(bodies, "ann", 20, 100))
        with pytest.raises(RequestError):
            await bodies.read(arriving([b"x" * 60, b"x" * 60]), "ann")
        assert await bodies.read(arriving([b"x" * 100]), "ann") == b"x" * 100
    tasks = await hold(bodies, "ann", 5, 100)
    assert refused(tasks) == 0
    await let_go(tasks)


async def test_the_end_of_a_body_needs_no_room() -> None:
    bodies, ended = Bodies(SETTINGS), asyncio.Event()
    events = iter([{"type": "http.request", "body": b"x" * 100, "more_body": True}])

    async def receive() -> Any:
        for event in events:
            return event
        await ended.wait()
        return {"type": "http.request"}

    whole = asyncio.create_task(bodies.read(Arriving(UNKNOWN_LENGTH, receive), "ann"))
    await asyncio.sleep(0)
    tasks = [one for name in "bcdefgh" for one in await hold(bodies, name, 20, 100)]
    ended.set()
    assert await whole == b"x" * 100
    await let_go(tasks)


async def test_a_client_that_leaves_in_its_body_is_no_caller_any_more() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientLeft):
        await Bodies(SETTINGS).read(Arriving(UNKNOWN_LENGTH, receive), "ann")
