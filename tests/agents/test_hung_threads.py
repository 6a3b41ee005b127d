"""A thread cannot be stopped: what becomes of one whose call was given up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from runner.agents.threads import Threads, until_done
from tests.support.client import LIMIT_S


class Gate:
    """Calls that hang until it is opened."""

    def __init__(self) -> None:
        self.inside = 0
        self._open = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.inside += 1
        self._open.wait()

    def open(self) -> None:
        self._open.set()


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    made = Gate()
    yield made
    made.open()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.005)


def alive(name: str) -> int:
    """How many threads of this name there are."""
    return sum(thread.name == name for thread in threading.enumerate())


async def given_up(threads: Threads, gate: Gate) -> asyncio.Task[Any]:
    """A call that was given up in its thread."""
    inside = gate.inside
    task = asyncio.create_task(threads.run(gate))
    await until(lambda: gate.inside > inside)
    task.cancel()
    return task


async def test_a_call_that_has_ended_when_it_is_given_up_does_not_hang() -> None:
    """Else it would be counted as hung for ever, for it comes back no more."""
    ended = asyncio.get_running_loop().create_future()
    given_up: list[bool] = []
    task = asyncio.create_task(until_done(ended, lambda: given_up.append(True)))
    await asyncio.sleep(0)
    ended.set_result(None)
    await asyncio.sleep(0)  # Its task is about to be woken.
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert given_up == []


async def test_a_hung_thread_is_replaced_and_another_call_is_made(gate: Gate) -> None:
    threads = Threads(1, most_hung=1)
    hung = await given_up(threads, gate)
    assert await threads.run(lambda: "served") == "served"
    assert threads.hung == 1
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await hung
    assert threads.hung == 0


async def test_no_more_than_the_bound_are_replaced(gate: Gate) -> None:
    threads = Threads(1, "bound", most_hung=1)
    await given_up(threads, gate)
    await given_up(threads, gate)
    await until(lambda: threads.hung == 2)
    waits = asyncio.create_task(threads.run(lambda: "served"))
    await asyncio.sleep(0)
    assert threads.exhausted
    assert alive("bound") == 2, "none is started for it"
    assert not waits.done()
    gate.open()
    assert await waits == "served"


async def test_when_those_that_hung_have_ended_all_is_as_before(gate: Gate) -> None:
    threads = Threads(2, "before", most_hung=2)
    hung = [await given_up(threads, gate) for _ in range(3)]
    await until(lambda: threads.hung == 3)
    gate.open()
    await asyncio.wait(hung)
    assert (threads.hung, threads.exhausted) == (0, False)
    later = Gate()
    calls = [asyncio.create_task(threads.run(later)) for _ in range(3)]
    await until(lambda: later.inside == 2)
    await until(lambda: alive("before") == 2)
    later.open()
    await asyncio.wait(calls)


async def test_a_replaced_thread_ends_with_its_call(gate: Gate) -> None:
    threads = Threads(1, "replaced", most_hung=1)
    hung = await given_up(threads, gate)
    await threads.run(lambda: None)
    gate.open()
    await asyncio.wait([hung])
    await until(lambda: alive("replaced") == 1)


async def test_a_thread_that_is_back_within_a_second_does_not_count_as_hung(gate: Gate) -> None:
    threads = Threads(1, most_hung=1)
    told = await given_up(threads, gate)
    gate.open()
    await asyncio.wait([told])
    assert threads.hung == 0
    assert await threads.run(lambda: "served") == "served"


async def test_where_none_may_be_replaced_one_that_hangs_is_enough_to_be_exhausted(
    gate: Gate,
) -> None:
    threads = Threads(2, most_hung=0)
    assert not threads.exhausted
    await given_up(threads, gate)
    await until(lambda: threads.exhausted)
    assert await threads.run(lambda: "served") == "served", "the other thread"
