"""Each multitask_strategy of the LangGraph SDK, on servers of each strategy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.doors.langgraph import collected, connect, errors, new_thread, say, texts
from tests.support.client import until
from tests.support.server import Knobs, Server

STRATEGIES = ("queue", "reject", "interrupt")
WISHES = (None, "enqueue", "reject", "interrupt", "rollback")
"""What a run says; None leaves it to the server."""

ALLOWED: Knobs = {"strategy__per_turn": ["enqueue", "reject", "interrupt", "rollback"]}

FREE, SAID = "1 0 ", "piece 0, "
"""A message of the agent `teller` that is answered at once, and its reply."""

every_wish = pytest.mark.parametrize("wish", WISHES)
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


@pytest.fixture(scope="module", params=STRATEGIES)
def server(
    request: pytest.FixtureRequest, http: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    knobs = {**ALLOWED, "strategy__name": request.param, "server__tokens": ["ann:a", "bob:b"]}
    folder = tmp_path_factory.mktemp("strategies")
    with Server(folder, target="tests.support.agents:teller", **knobs) as running:
        yield running


@pytest.fixture
async def ann(server: Server) -> AsyncIterator[Any]:
    async with connect(server, "a") as client:
        yield client


@pytest.fixture
async def bob(server: Server) -> AsyncIterator[Any]:
    async with connect(server, "b") as client:
        yield client


def asking(message: str, wish: str | None) -> dict[str, Any]:
    return {"input": say(message)} | ({} if wish is None else {"multitask_strategy": wish})


def in_force(server: Server, wish: str | None) -> str:
    """As LangGraph calls it."""
    return wish or str(server.knobs["strategy__name"]).replace("queue", "enqueue")


async def begun(client: Any, thread: str, message: str, wish: str | None = None) -> Any:
    """A stream of a run that is accepted, and the run's id."""
    run = asking(message, wish)
    stream = client.runs.stream(thread, "agent", stream_mode=["messages-tuple", "values"], **run)
    return stream, (await anext(stream)).data["run_id"]


async def held(client: Any) -> tuple[str, str, Any]:
    """A thread with a run that has said something and goes on until `let_on(thread)`."""
    thread = await new_thread(client)
    stream, run = await begun(client, thread, f"1 0 until {thread}")
    assert (await anext(stream)).event == "messages"
    return thread, run, stream


async def status(client: Any, thread: str, run: str) -> str:
    return str((await client.runs.get(thread, run))["status"])


@every_wish
async def test_runs_one_after_another_are_one_thread(
    server: Server, ann: Any, wish: str | None
) -> None:
    thread = await new_thread(ann)
    assert len((await ann.runs.wait(thread, "agent", **asking(FREE, wish)))["messages"]) == 2
    stream, _ = await begun(ann, thread, FREE, wish)
    assert len((await collected(stream))[-2].data["messages"]) == 4
    run = await ann.runs.create(thread, "agent", **asking(FREE, wish))
    assert run["multitask_strategy"] == in_force(server, wish)
    assert len((await ann.runs.join(thread, run["run_id"]))["messages"]) == 6


@every_wish
async def test_three_that_come_to_a_busy_thread(server: Server, ann: Any, wish: str | None) -> None:
    thread, first, holding = await held(ann)
    message = f"1 0 until {thread}"
    chosen = in_force(server, wish)
    if chosen == "reject":
        for _ in range(3):
            with pytest.raises(errors.ConflictError):
                await begun(ann, thread, message, wish)
        server.let_on(thread)
        assert texts((await collected(holding))[-2].data) == [message, SAID]
        return
    runs = [await begun(ann, thread, f"{message} {number}", wish) for number in range(3)]
    ids = [first, *(run for _, run in runs)]
    # The file's name is all that follows `until`, so each of them has one.
    for name in (thread, *(f"{thread} {number}" for number in range(3))):
        server.let_on(name)
    ends = [await collected(stream) for stream in (holding, *(stream for stream, _ in runs))]
    statuses = [await status(ann, thread, run) for run in ids]
    said = texts(ends[-1][-2].data)
    assert said[-2:] == [f"{message} 2", SAID]
    if chosen == "enqueue":
        assert statuses == ["success"] * 4
        assert [len(parts[-2].data["messages"]) for parts in ends] == [2, 4, 6, 8]
        assert said[::2] == [message, *(f"{message} {number}" for number in range(3))]
    else:
        assert statuses == ["interrupted"] * 3 + ["success"]
        if chosen == "interrupt":
            assert texts(ends[0][-2].data) == said[:2] == [message, SAID]
        else:
            assert ends[0][-1].data["error"] == "turn-interrupted"
            assert len(said) == 2


@every_wish
async def test_another_caller_of_the_same_thread_is_not_in_the_way(
    server: Server, ann: Any, bob: Any, wish: str | None
) -> None:
    thread, run, stream = await held(ann)
    state = await bob.runs.wait(thread, "agent", **asking(FREE, wish))
    assert texts(state) == [FREE, SAID]
    assert await status(ann, thread, run) == "running"
    server.let_on(thread)
    assert (await collected(stream))[-1].event == "end"


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_cancelled_run_leaves_its_thread_as_it_was(ann: Any, action: str) -> None:
    thread, run, stream = await held(ann)
    await ann.runs.cancel(thread, run, wait=True, action=action)
    assert (await collected(stream))[-1].data["error"] == "turn-cancelled"
    assert await status(ann, thread, run) == "interrupted"
    assert texts(await ann.runs.wait(thread, "agent", input=say(FREE))) == [FREE, SAID]


async def test_a_run_that_waits_is_cancelled(server: Server, ann: Any) -> None:
    thread, _, holding = await held(ann)
    run = await ann.runs.create(thread, "agent", **asking("never", "enqueue"))
    assert run["status"] == "pending"
    await ann.runs.cancel(thread, run["run_id"], wait=True)
    assert await status(ann, thread, run["run_id"]) == "interrupted"
    server.let_on(thread)
    assert (await collected(holding))[-1].event == "end"
    assert "began never" not in server.calls()


@every_strategy
@pytest.mark.filterwarnings("ignore:Reconnecting without a Last-Event-ID")
async def test_a_stream_comes_back_after_a_kill(folder: Path, strategy: str) -> None:
    target = "tests.support.agents:counting_attempts"
    with Server(folder, target=target, strategy__name=strategy) as server:
        async with connect(server) as client:
            run = {"input": say("until later"), "on_disconnect": "continue"}
            stream = client.runs.stream("cut", "agent", stream_mode="values", **run)
            assert (await anext(stream)).event == "metadata"
            await asyncio.to_thread(until, lambda: len(server.calls()) == 1, "the agent is called")
            server.kill()
            await asyncio.to_thread(server.start)
            server.let_on("later")
            parts = await collected(stream)
    assert '"attempt": 2, "before": 0' in texts(parts[-2].data)[-1]
    assert [part.event for part in parts][-1] == "end"


@every_strategy
async def test_a_question_is_answered_by_a_run_of_any_strategy(folder: Path, strategy: str) -> None:
    knobs = {**ALLOWED, "strategy__name": strategy}
    with Server(folder, target="tests.support.keepers:Careful", **knobs) as server:
        async with connect(server) as client:
            for wish in WISHES:
                thread = await new_thread(client)
                asked = await client.runs.wait(thread, "agent", **asking("ask name", wish))
                assert asked["__interrupt__"][0]["value"] == "name?"
                resume = {**asking("", wish), "input": None, "command": {"resume": "Ada"}}
                state = await client.runs.wait(thread, "agent", **resume)
                assert '"value": "Ada"' in texts(state)[-1]


@pytest.mark.parametrize("strategy", ["queue", "interrupt"])
async def test_what_is_full_refuses_and_the_client_does_not_send_it_again(
    folder: Path, strategy: str
) -> None:
    """Of the others none has a bound."""
    names = "max_running", "max_waiting", "max_waiting_per_conversation"
    knobs: Knobs = {**ALLOWED, "strategy__name": strategy} | {
        f"strategy__{one}": 1 for one in names
    }
    with Server(folder, **knobs) as server:
        async with connect(server) as client:
            for _ in range(2):
                await client.runs.create("full", "agent", **asking("until later", "enqueue"))
            for call in (client.runs.create, client.runs.wait):
                for thread, status_code in (("full", 429), ("other", 503)):
                    with pytest.raises(httpx.HTTPStatusError) as caught:
                        await call(thread, "agent", **asking("too many", "enqueue"))
                    assert caught.value.response.status_code == status_code
                    assert int(caught.value.response.headers["retry-after"]) >= 1
            server.let_on("later")
            await asyncio.to_thread(server.until_quiet)
        assert "began too many" not in server.calls()
