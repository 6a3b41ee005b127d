"""Nothing of an agent's gets past its boundary but text: I-12, I-13, I-15."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from runner.agents.base import Answered, Asked, Emit, Said, Told, ToolResult
from runner.agents.boundary import Boundary
from runner.agents.callee import as_callee
from runner.agents.threads import Threads
from strategies import AgentFailed
from tests.support.agents import FAULTS


async def answer(function: Any, max_reply_bytes: int = 10) -> Said:
    boundary = Boundary(Threads(2), max_reply_bytes)
    callee = as_callee(function, boundary.in_thread)
    assert callee is not None
    return await boundary.ask(callee.adapter, Asked("c", "hi"))


async def ask(function: Any, max_reply_bytes: int = 10) -> str:
    return (await answer(function, max_reply_bytes)).text


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("kind", ["async", "sync", "async generator", "sync generator"])
async def test_whatever_is_raised_becomes_agent_failed(
    fault: type[BaseException], kind: str
) -> None:
    async def in_async(message: str) -> str:
        raise fault

    def in_sync(message: str) -> str:
        raise fault

    async def in_async_generator(message: str) -> AsyncIterator[str]:
        yield "a"
        raise fault

    def in_generator(message: str) -> Iterator[str]:
        yield "a"
        raise fault

    functions = {
        "async": in_async,
        "sync": in_sync,
        "async generator": in_async_generator,
        "sync generator": in_generator,
    }
    with pytest.raises(AgentFailed) as failure:
        await ask(functions[kind])
    assert failure.value.__cause__ is not None


@pytest.mark.parametrize("value", [None, 7, b"x", ("a",), object(), {"a"}])
async def test_what_is_not_text_is_refused_by_its_type_and_not_shown(value: object) -> None:
    async def agent(message: str) -> Any:
        return value

    with pytest.raises(AgentFailed, match=type(value).__name__):
        await ask(agent)


@pytest.mark.parametrize(("size", "fits"), [(10, True), (11, False)])
async def test_a_reply_has_a_bound_in_bytes(size: int, fits: bool) -> None:
    async def agent(message: str) -> str:
        return "x" * (size - 2) + "é"

    if fits:
        assert len((await ask(agent)).encode()) == size
    else:
        with pytest.raises(AgentFailed, match="longer than 10 bytes"):
            await ask(agent)


async def test_an_endless_generator_ends_at_the_bound_and_is_closed() -> None:
    closed = asyncio.Event()

    async def agent(message: str) -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
        finally:
            closed.set()

    with pytest.raises(AgentFailed):
        await ask(agent)
    assert closed.is_set()


async def test_our_own_cancellation_passes_through() -> None:
    async def agent(message: str) -> str:
        await asyncio.Event().wait()
        return "never"

    task = asyncio.create_task(ask(agent))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_call_ends_only_when_its_thread_has() -> None:
    began, may_end = threading.Event(), threading.Event()

    def agent(message: str) -> str:
        began.set()
        may_end.wait()
        return "late"

    task = asyncio.create_task(ask(agent))
    await asyncio.to_thread(began.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_threads_are_bounded_and_the_next_call_waits() -> None:
    threads, gate = Threads(2), threading.Event()
    inside: list[None] = []

    def work() -> None:
        inside.append(None)
        gate.wait()

    tasks = [asyncio.create_task(threads.run(work)) for _ in range(3)]
    while len(inside) < 2:
        await asyncio.sleep(0)
    assert len(inside) == 2
    gate.set()
    await asyncio.gather(*tasks)
    assert len(inside) == 3


async def test_a_thread_takes_the_next_call_and_ends_with_its_owner() -> None:
    threads = Threads(2)
    first, second = [await threads.run(threading.current_thread) for _ in range(2)]
    assert first is second
    del threads
    await asyncio.to_thread(first.join, 30)
    assert not first.is_alive()


async def test_what_tools_give_has_a_bound_of_its_own() -> None:
    async def agent(message: str) -> AsyncIterator[object]:
        for number in range(int(message)):
            yield ToolResult(str(number), "read", "x" * 1_000)
        yield "done"

    boundary = Boundary(Threads(1), max_reply_bytes=10, max_state_bytes=100_000)
    callee = as_callee(agent, boundary.in_thread)
    assert callee is not None
    assert (await boundary.ask(callee.adapter, Asked("c", "50"))).text == "done"
    with pytest.raises(AgentFailed, match="progress is longer than 100000 bytes"):
        await boundary.ask(callee.adapter, Asked("c", "200"))


@dataclass
class Holds:
    rows: object


class HoldsToo(BaseModel):
    rows: Any


@pytest.mark.parametrize(
    "hold",
    [
        lambda rows: {"rows": [1, (2, rows)]},
        lambda rows: [{1, 2}, {"rows": rows}],
        Holds,
        lambda rows: HoldsToo(rows=[rows]),
        lambda rows: {"rows": [Holds(HoldsToo(rows=rows))]},
    ],
    ids=["in a dict", "beside a set", "in a dataclass", "in a model", "in all"],
)
@pytest.mark.parametrize("place", ["output", "state", "tool_result"])
async def test_an_iterator_is_no_json_and_is_never_run(
    place: str, hold: Callable[[object], object]
) -> None:
    """It may have no end, and the event loop would wait for it."""
    was_run = False

    def rows() -> Iterator[int]:
        nonlocal was_run
        was_run = True
        yield 1

    class Agent:
        async def answer(self, message: str) -> AsyncIterator[object]:
            if place == "tool_result":
                yield ToolResult("c", "look", hold(rows()))
            yield "done"

        def get_state(self) -> object:
            return hold(rows()) if place == "state" else {}

        def set_state(self, state: object) -> None: ...

    async def agent(message: str) -> object:
        return hold(rows())

    with pytest.raises(AgentFailed, match=rf"{place}.* is no JSON: a generator is in it"):
        await answer(agent if place == "output" else Agent())
    assert not was_run


async def test_a_state_that_is_an_iterator_is_no_json() -> None:
    class Agent:
        async def answer(self, message: str) -> str:
            return message

        def get_state(self) -> object:
            return iter([1, 2])

        def set_state(self, state: object) -> None: ...

    with pytest.raises(AgentFailed, match="state is no JSON: a list_iterator is in it"):
        await answer(Agent())


async def test_what_the_loop_emits_does_not_overtake_what_a_thread_has_emitted() -> None:
    class Adapter:
        async def answer(self, asked: Asked, emit: Emit) -> Answered:
            def work() -> None:
                emit("a")
                emit(ToolResult("c", "look", 1))
                emit("b")

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()  # The loop cannot have delivered them.
            emit("c")
            return Answered("abcd")

    heard: list[str | Told] = []
    said = await Boundary(Threads(1), 100).ask(Adapter(), Asked("c", "hi"), heard.append)
    assert said.text == "abcd"
    assert [one if isinstance(one, str) else one.kind for one in heard] == [
        "a", "tool_result", "b", "c", "d",
    ]  # fmt: skip
