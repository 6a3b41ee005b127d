"""Agents that mean harm, through the desk and the stores that would have to bear it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runner.agents.base import About
from runner.agents.calling import Caller, as_callee
from runner.agents.kinds import SharedAgent
from runner.agents.loader import AgentNotFound, load_agent
from runner.agents.threads import Threads
from runner.desk import Desk
from runner.store import Store, make_store
from runner.turns.book import Book
from strategies import AgentFailed, Limits, Turn
from strategies.queue import Queue

ABOUT = About("test", "function", wants_history=False, single_conversation=False)


def agent(target: object) -> SharedAgent:
    callee = as_callee(target)
    assert callee is not None
    return SharedAgent(ABOUT, callee, Caller(Threads(2), 1_000))


@pytest.fixture(params=["memory:", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = request.param
    store = make_store(f"sqlite:///{tmp_path}/kept.db" if url == "sqlite" else url)
    await store.open()
    yield store
    await store.close()


async def test_a_turn_whose_agent_cancels_its_own_task_fails_and_is_not_kept(store: Store) -> None:
    async def cancels_itself(message: str) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "done"

    strategy = Queue(Desk(agent(cancels_itself), store, Book(60.0)).answer, Limits())
    with pytest.raises(AgentFailed):
        await strategy.submit(Turn("1", "c", "m")).reply()
    assert await store.messages("c") == []


async def test_an_agent_that_swallows_its_cancellation_returns_normally() -> None:
    started = asyncio.Event()

    async def stubborn(message: str) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "still here"
        return "never"

    task = asyncio.create_task(agent(stubborn).answer("c", "m", []))
    await started.wait()
    task.cancel()
    assert await task == "still here"


async def test_a_sync_generator_over_the_bound_is_closed_in_its_own_thread() -> None:
    threads: list[str] = []

    def endless(message: str) -> Iterator[str]:
        try:
            while True:
                yield "x" * 100
        finally:
            threads.append(threading.current_thread().name)

    with pytest.raises(AgentFailed, match="longer than 1000 bytes"):
        await agent(endless).answer("c", "m", [])
    assert threads == ["agent"]


async def test_an_agents_own_agent_failed_says_nothing_to_the_client() -> None:
    async def tells(message: str) -> str:
        raise AgentFailed("secret", outcome="unknown")

    with pytest.raises(AgentFailed) as caught:
        await agent(tells).answer("c", "m", [])
    assert "secret" not in str(caught.value)
    assert caught.value.outcome == "rolled_back"


@pytest.mark.parametrize("value", [-1, "soon"])
def test_a_bad_option_of_a_built_in_agent_is_refused_at_load(value: object) -> None:
    with pytest.raises(AgentNotFound, match="eliza"):
        load_agent("eliza", {"thinking_s": value}, threads=1, max_reply_bytes=10)
