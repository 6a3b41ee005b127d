"""The door of A2A under each strategy, through its official client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.doors.a2a import COMPLETED, Talk, echo_of, talk, text_of
from tests.support.server import Knobs, Server

errors = pytest.importorskip("a2a.utils.errors")

from a2a.client.errors import A2AClientError  # noqa: E402
from a2a.types import a2a_pb2 as pb  # noqa: E402

STRATEGIES = ("queue", "reject", "interrupt")


@pytest.fixture(scope="module", params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(strategy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    knobs: Knobs = {"strategy__name": strategy, "server__tokens": ["ann:a-token", "bob:b-token"]}
    with Server(tmp_path_factory.mktemp(strategy), **knobs) as running:
        yield running


@pytest.fixture
async def ann(server: Server) -> AsyncIterator[Talk]:
    async with talk(server, token="a-token") as one:
        yield one


async def last_state(stream: AsyncIterator[pb.StreamResponse]) -> tuple[int, str]:
    """Of a stream's end, and what was said."""
    events = [event async for event in stream]
    return events[-1].status_update.status.state, text_of(events)


async def test_plain_and_streamed_tasks_of_a_context_follow_each_other(
    server: Server, ann: Talk
) -> None:
    async with talk(server, streaming=False, token="a-token") as plain:
        for number in range(4):
            events = await (plain, ann)[number % 2].all(str(number), context="follow")
            task = events[0].task if number % 2 == 0 else await ann.task(events[0].task.id)
            assert echo_of(task) == {"echo": str(number), "before": 2 * number}


async def test_three_at_once_in_a_context_are_answered_refused_or_stopped_as_the_strategy_says(
    server: Server, strategy: str, ann: Talk
) -> None:
    async def begin(number: int) -> AsyncIterator[pb.StreamResponse]:
        stream = ann.stream(f"until {strategy} {number}", context="at-once")
        assert (await anext(stream)).HasField("task")
        return stream

    streams = [await begin(0)]
    await asyncio.to_thread(server.until_called, f"until {strategy} 0")
    for number in (1, 2):
        if strategy == "reject":
            with pytest.raises(errors.InternalError, match="is running") as refused:
                await begin(number)
            assert refused.value.data["outcome"] == "not_started"
        else:
            streams.append(await begin(number))
    for number in range(3):
        server.let_on(f"{strategy} {number}")
    ends = await asyncio.gather(*map(last_state, streams))
    answered = [json.loads(said) for state, said in ends if state == COMPLETED]
    numbers = {"queue": (0, 1, 2), "reject": (0,), "interrupt": (2,)}[strategy]
    assert answered == [
        {"echo": f"until {strategy} {number}", "before": 2 * place}
        for place, number in enumerate(numbers)
    ]
    others = [state for state, _ in ends if state != COMPLETED]
    assert others == [pb.TASK_STATE_CANCELED] * (2 if strategy == "interrupt" else 0)


async def test_a_cancelled_task_leaves_its_context_to_the_next(server: Server, ann: Talk) -> None:
    stream = ann.stream("hang cancelled", context="cancelled")
    task_id = (await anext(stream)).task.id
    await asyncio.to_thread(server.until_called, "hang cancelled")
    assert (await ann.cancel(task_id)).status.state == pb.TASK_STATE_CANCELED
    assert (await last_state(stream))[0] == pb.TASK_STATE_CANCELED
    assert json.loads(text_of(await ann.all("next", context="cancelled")))["before"] == 0


async def test_callers_have_a_context_each_though_they_name_it_alike(
    server: Server, strategy: str, ann: Talk
) -> None:
    running = ann.stream(f"until callers {strategy}", context="alike")
    await anext(running)
    await asyncio.to_thread(server.until_called, f"until callers {strategy}")
    async with talk(server, token="b-token") as bob:
        assert json.loads(text_of(await bob.all("bob's", context="alike")))["before"] == 0
    server.let_on(f"callers {strategy}")
    assert (await last_state(running))[0] == COMPLETED


async def test_a_task_that_a_kill_cut_off_is_answered_after_the_restart(
    server: Server, strategy: str, ann: Talk
) -> None:
    stream = ann.stream(f"until killed {strategy}", context="killed")
    task_id = (await anext(stream)).task.id
    await asyncio.to_thread(server.until_called, f"until killed {strategy}")
    server.kill()
    with pytest.raises(A2AClientError):
        await last_state(stream)
    await asyncio.to_thread(server.start)
    async with talk(server, token="a-token") as again:
        subscribed = asyncio.create_task(again.subscribe(task_id))
        await asyncio.sleep(0)
        server.let_on(f"killed {strategy}")
        events = await subscribed
        assert json.loads(text_of(events))["before"] == 0
        assert json.loads(text_of(await again.all("next", context="killed")))["before"] == 2


async def test_a_question_is_answered(strategy: str, tmp_path: Path) -> None:
    knobs: Knobs = {"strategy__name": strategy, "target": "tests.support.keepers:careful"}
    with Server(tmp_path, **knobs) as server:
        async with talk(server) as one:
            asked = await one.all("ask who", context="c")
            assert asked[-1].status_update.status.state == pb.TASK_STATE_INPUT_REQUIRED
            between = await one.all("something else", context="c")
            assert between[-1].status_update.status.state == pb.TASK_STATE_REJECTED
            done = await one.all("it was me", task=asked[0].task.id)
    assert '"value": "it was me"' in text_of(done)
