"""Agents that mean harm, through the boundary and the stores that would have to bear it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from runner.agents.base import About, Message, Told
from runner.agents.boundary import Boundary
from runner.agents.callee import as_callee
from runner.agents.kinds import AgentPerConversation, SharedAgent
from runner.agents.loader import AgentNotFound, load_agent
from runner.agents.threads import Threads
from runner.settings import StoreSettings
from runner.store import make_store
from runner.store.base import Record, Store, StoreUnavailable
from runner.store.history import History
from runner.store.timing import untold
from runner.turns.answering import Answering
from runner.turns.journal import Journal
from runner.turns.known_turns import KnownTurns
from runner.turns.observer import Observer
from strategies import AgentFailed, Limits, Turn
from strategies.queue import Queue
from tests.support.asking import ask

ABOUT = About("test", "function", wants_history=False, single_conversation=False)


def agent(target: object, max_reply_bytes: int = 1_000) -> SharedAgent:
    boundary = Boundary(Threads(2), max_reply_bytes)
    callee = as_callee(target, boundary.in_thread)
    assert callee is not None
    return SharedAgent(ABOUT, callee, boundary)


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

    journal = Journal(store, StoreSettings(), time.time)
    answering = Answering(agent(cancels_itself), store, KnownTurns(60.0), journal, Observer())
    strategy = Queue(answering.answer, Limits())
    with pytest.raises(AgentFailed):
        await strategy.submit(Turn("1", "c", "m")).reply()
    assert await store.messages("c") == []


async def test_a_cancellation_that_an_agent_left_behind_does_not_stop_the_commit(
    store: Store,
) -> None:
    cancelled: list[str] = []

    async def cancels_late(message: str) -> str:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def cancel(times: int) -> None:
            if task.cancel() and times:  # Each time that the loop goes round in the commit.
                cancelled.append(message)
                loop.call_soon(cancel, times - 1)

        loop.call_soon(cancel, 3)
        return f"done {message}"

    journal = Journal(store, StoreSettings(), time.time)
    answering = Answering(agent(cancels_late), store, KnownTurns(60.0), journal, Observer())
    strategy = Queue(answering.answer, Limits())
    for number, name in enumerate("ab", 1):
        reply = await strategy.submit(Turn(name, "c", name)).reply()
        assert (reply.text, reply.number) == (f"done {name}", number)
    contents = [said["content"] for said in await store.messages("c")]
    assert contents == ["a", "done a", "b", "done b"]
    assert strategy.load().running == strategy.load().fenced == 0
    assert bool(cancelled) == store.durable  # In memory a commit is over before that.


async def test_a_commit_that_was_cancelled_cancels_the_next_await(store: Store) -> None:
    after: list[str] = []

    async def turn() -> None:
        asyncio.get_running_loop().call_soon(task.cancel)
        number = await store.commit(Record("t", "c", "m", "r"))
        after.append(f"turn {number}")
        await asyncio.sleep(60)
        after.append("slept")

    task = asyncio.create_task(turn())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert after == ["turn 1"]
    assert task.cancelling() == 1
    assert len(await store.messages("c")) == 2


async def test_an_agent_that_swallows_its_cancellation_returns_normally() -> None:
    started = asyncio.Event()

    async def stubborn(message: str) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "still here"
        return "never"

    task = asyncio.create_task(ask(agent(stubborn), "c", "m", []))
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
        await ask(agent(endless), "c", "m", [])
    assert threads == ["agent"]


async def test_an_agents_own_agent_failed_says_nothing_to_the_client() -> None:
    async def tells(message: str) -> str:
        raise AgentFailed("secret", outcome="unknown")

    with pytest.raises(AgentFailed) as caught:
        await ask(agent(tells), "c", "m", [])
    assert "secret" not in str(caught.value)
    assert caught.value.outcome == "rolled_back"


@pytest.mark.parametrize("value", [-1, "soon"])
def test_a_bad_option_of_a_built_in_agent_is_refused_at_load(value: object) -> None:
    with pytest.raises(AgentNotFound, match="eliza"):
        load_agent("eliza", {"thinking_s": value}, threads=Threads(1), max_reply_bytes=10)


async def test_the_agent_is_called_in_the_turns_own_task() -> None:
    async def looks(message: str) -> str:
        return str(asyncio.current_task() is task)

    task = asyncio.create_task(ask(agent(looks), "c", "m", []))
    assert await task == "True"


@pytest.mark.parametrize("ends", ["returns", "raises", "awaits"])
async def test_an_agent_that_cancels_its_own_task_leaves_no_cancellation_behind(
    ends: str,
) -> None:
    async def cancels_itself(message: str) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        if ends == "awaits":
            await asyncio.sleep(0)
        if ends == "raises":
            raise ValueError
        return "done"

    async def turn() -> str:
        with pytest.raises((AgentFailed, asyncio.CancelledError)):
            await ask(agent(cancels_itself), "c", "m", [])
        await asyncio.sleep(0)
        return "nothing came out later"

    assert await asyncio.create_task(turn()) == "nothing came out later"


class Broken:
    """A past that cannot be read."""

    took = staticmethod(untold)

    def span(self, conversation: str) -> tuple[int, int]:
        raise StoreUnavailable

    def read(self, conversation: str, first: int, last: int) -> list[tuple[str, str]]:
        raise StoreUnavailable


@pytest.mark.parametrize("goes_on", [True, False])
async def test_an_agent_whose_history_could_not_be_read_fails_as_the_store_did(
    goes_on: bool,
) -> None:
    async def reads(message: str, history: Sequence[Message]) -> str:
        try:
            list(history)
        except StoreUnavailable as error:
            if not goes_on:
                raise ValueError from error
        return "as if nothing had been said"

    history = History(Broken(), "c")
    with pytest.raises(StoreUnavailable) as failure:
        await ask(agent(reads), "c", "m", history)
    assert failure.value is history.error


async def test_the_history_of_a_factory_ends_where_its_agent_was_made(store: Store) -> None:
    class Late:
        def __init__(self, history: Sequence[Message]) -> None:
            self._history = history

        async def answer(self, message: str) -> str:
            return str(len(self._history)) if message == "look" else "nothing"

    takes = frozenset({"history"})
    late = AgentPerConversation(ABOUT, Late, takes, {}, Boundary(Threads(2), 1_000))
    for number, message in enumerate(("a", "b", "look")):
        reply = await ask(late, "c", message, store.history("c"))
        await store.commit(Record(str(number), "c", message, reply))
    assert reply == "0"


async def test_pieces_from_a_thread_come_whole_and_in_order() -> None:
    def counts(message: str) -> Iterator[str]:
        for number in range(300):
            yield f"{number} "

    said: list[str | Told] = []
    whole = " ".join(map(str, range(300))) + " "
    assert await ask(agent(counts, 10_000), "c", "m", [], said.append) == whole
    assert "".join(map(str, said)) == whole
