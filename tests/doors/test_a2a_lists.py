"""Lists of tasks, as A2A's official client asks for them."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.doors.a2a import COMPLETED, Talk, talk
from tests.support.server import Server

errors = pytest.importorskip("a2a.utils.errors")

from a2a.types import a2a_pb2 as pb  # noqa: E402

WORKING, SUBMITTED = pb.TASK_STATE_WORKING, pb.TASK_STATE_SUBMITTED


async def listed(one: Talk, **asked: Any) -> pb.ListTasksResponse:
    request = pb.ListTasksRequest(**asked)
    answer: pb.ListTasksResponse = await one.client.list_tasks(request, context=one.context)
    return answer


async def paged(one: Talk, size: int, **asked: Any) -> list[str]:
    """The ids of all pages."""
    found, after = list[str](), ""
    while True:
        page = await listed(one, page_size=size, page_token=after, **asked)
        assert page.page_size == size
        assert len(page.tasks) <= size
        found += [task.id for task in page.tasks]
        if not (after := page.next_page_token):
            return found
        assert len(page.tasks) == size


def token(after: object) -> str:
    return urlsafe_b64encode(json.dumps(after).encode()).decode()


def ids(page: pb.ListTasksResponse) -> list[str]:
    return [task.id for task in page.tasks]


async def test_the_tasks_of_a_context_are_listed_the_latest_first(server: Server) -> None:
    async with talk(server) as one, talk(server, streaming=False) as plain:
        said = [await client.all("hello", context="l") for client in (one, plain)]
        said.append(await one.all("raise Exception", context="l"))
        said.append(await one.all("elsewhere", context="elsewhere"))
        running = await plain.all("until listed", context="l", return_immediately=True)
        waiting = await plain.all("waits", context="l", return_immediately=True)
        await asyncio.to_thread(server.until_called, "until listed")
        page = await listed(one, context_id="l")
        whole = await listed(one, context_id="l", include_artifacts=True)
        pages = await paged(one, 2, context_id="l")
        server.let_on("listed")
    kept = [events[0].task.id for events in reversed(said[:3])]
    assert ids(page) == ids(whole) == [waiting[0].task.id, running[0].task.id, *kept] == pages
    assert (page.total_size, page.page_size, page.next_page_token) == (5, 50, "")
    states = [task.status.state for task in page.tasks]
    assert states == [SUBMITTED, WORKING, pb.TASK_STATE_FAILED, COMPLETED, COMPLETED]
    assert {task.context_id for task in page.tasks} == {"l"}
    assert not any(task.artifacts for task in page.tasks)
    assert "hello" in whole.tasks[-1].artifacts[0].parts[0].text


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_pages_have_each_task_once(server: Server, size: int) -> None:
    context = f"pages-{size}"
    async with talk(server, streaming=False) as one:
        said = [await one.all(str(number), context=context) for number in range(4)]
        for number in range(3):
            how = {"context": context, "return_immediately": True}
            said.append(await one.all(f"until {size} {number}", **how))
        found = await paged(one, size, context_id=context)
    assert found == [events[0].task.id for events in reversed(said)]


async def test_after_a_restart_the_tasks_of_a_context_are_listed(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        async with talk(server) as one:
            said = [await one.all(text, context="c") for text in ("raise Exception", "hello")]
        server.kill()
        server.start()
        async with talk(server) as one:
            found = await listed(one, context_id="c")
    assert ids(found) == [events[0].task.id for events in reversed(said)]


async def test_of_all_contexts_those_are_listed_that_have_not_ended(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        async with talk(server, streaming=False) as one:
            await one.all("hello", context="a")
            said = [
                await one.all(f"until end {context}", context=context, return_immediately=True)
                for context in ("a", "b", "a")
            ]
            first, other, waiting = [events[0].task.id for events in said]
            for context in ("a", "b"):
                await asyncio.to_thread(server.until_called, f"until end {context}")
            running = await listed(one, status=WORKING)
            assert ids(running) == [other, first]
            assert running.total_size == 2
            assert await paged(one, 1, status=WORKING) == [other, first]
            assert ids(await listed(one, status=SUBMITTED)) == [waiting]
            assert ids(await listed(one, status=WORKING, context_id="a")) == [first]
            for asked in ({}, {"status": COMPLETED}):
                with pytest.raises(errors.UnsupportedOperationError, match="contextId"):
                    await listed(one, **asked)


async def test_another_callers_tasks_are_not_listed(tmp_path: Path) -> None:
    with Server(tmp_path, server__tokens=["ann:a-token", "bob:b-token"]) as server:
        async with talk(server, token="a-token") as ann, talk(server, token="b-token") as bob:
            await ann.all("mine", context="c")
            stream = ann.stream("until end", context="c")
            await anext(stream)
            await asyncio.to_thread(server.until_called, "until end")
            assert (await listed(ann, context_id="c")).total_size == 2
            for asked in ({"context_id": "c"}, {"status": WORKING}):
                page = await listed(bob, **asked)
                assert (ids(page), page.total_size) == ([], 0)
            server.let_on("end")
            assert [event async for event in stream]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"contextId": "a/b"}, -32602),
        ({"contextId": 7}, -32602),
        ({"contextId": "c", "pageSize": 0}, -32602),
        ({"contextId": "c", "pageSize": 101}, -32602),
        ({"contextId": "c", "pageSize": "9"}, -32602),
        ({"contextId": "c", "pageToken": "nonsense"}, -32602),
        ({"contextId": "c", "pageToken": token(True)}, -32602),
        ({"contextId": "c", "pageToken": 7}, -32602),
        ({"contextId": "c", "pageToken": token([1.0, 2**70, "x"])}, -32602),
        ({"contextId": "c", "pageToken": token([1.0, 1, "\ud800"])}, -32602),
        ({"contextId": "c", "pageToken": token(-1)}, -32602),
        ({"contextId": "c", "status": "TASK_STATE_RUNNING"}, -32602),
        ({"contextId": "c", "status": ["x"]}, -32602),
        ({"contextId": "c", "status": "TASK_STATE_COMPLETED"}, -32004),
        ({"contextId": "c", "statusTimestampAfter": "2026-01-01T00:00:00Z"}, -32004),
        ({}, -32004),
    ],
)
async def test_a_list_that_cannot_be_given_is_refused(
    server: Server, params: dict[str, Any], code: int
) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": params}
    assert server.request("POST", "/a2a", call).json["error"]["code"] == code


async def test_an_empty_context_has_no_tasks(server: Server) -> None:
    async with talk(server) as one:
        page = await listed(one, context_id="nothing-was-said")
    assert (ids(page), page.total_size, page.next_page_token) == ([], 0, "")
