"""MCP's official client under each strategy, in both eras: the same door, other lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.client import until
from tests.support.server import Server

mcp = pytest.importorskip("mcp")
httpx2 = pytest.importorskip("httpx2")
transport = pytest.importorskip("mcp.client.streamable_http")

ERAS = pytest.mark.parametrize("era", ["legacy", "2026-07-28"])


@pytest.fixture(scope="module")
def http() -> str:
    return "hypercorn"


@pytest.fixture(scope="module", params=["queue", "reject", "interrupt"])
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(strategy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tokens = ["ann:a-token", "bob:b-token"]
    folder = tmp_path_factory.mktemp(strategy)
    with Server(folder, strategy__name=strategy, server__tokens=tokens) as running:
        yield running


class Caller:
    """A client with a token, for one test."""

    def __init__(self, server: Server, era: str, token: str = "a-token") -> None:
        self._url = f"http://127.0.0.1:{server.port}/mcp"
        self._era = era
        self._head = {"authorization": f"Bearer {token}"}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Caller:
        carrier = httpx2.AsyncClient(headers=self._head)
        enter = self._stack.enter_async_context
        await enter(carrier)
        streams = transport.streamable_http_client(self._url, http_client=carrier)
        self._client = await enter(mcp.Client(streams, mode=self._era))
        await self._client.list_tools()  # Or it does so after its first result.
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def ask(self, message: str, conversation: str) -> Any:
        arguments = {"message": message, "conversation_id": conversation}
        return await self._client.call_tool("ask", arguments)

    async def resume(self, decisions: object, conversation: str) -> Any:
        arguments = {"decisions": decisions, "conversation_id": conversation}
        return await self._client.call_tool("resume", arguments)


def before(result: Any) -> int:
    """How many messages the agent saw before this one."""
    assert not result.is_error, result
    return int(json.loads(result.content[0].text)["before"])


def cause(result: Any) -> str:
    """What it was refused for, or why it failed."""
    assert result.is_error, result
    return str(result.structured_content["type"]).rpartition(":")[2]


async def called(server: Server, message: str) -> None:
    await asyncio.to_thread(server.until_called, message)


@ERAS
async def test_turns_one_after_another_are_one_conversation(server: Server, era: str) -> None:
    async with Caller(server, era) as ann:
        assert [before(await ann.ask("more", f"on-{era}")) for _ in range(3)] == [0, 2, 4]


@ERAS
async def test_of_three_at_once_each_strategy_makes_what_it_promises(
    server: Server, strategy: str, era: str
) -> None:
    first, conversation = f"until go-{era}", f"three-{era}"
    async with Caller(server, era) as ann:
        calls = [asyncio.create_task(ann.ask(first, conversation))]
        await called(server, first)
        if strategy == "queue":
            for number in (1, 2):
                calls.append(asyncio.create_task(ann.ask(f"then {number}", conversation)))
                await asyncio.to_thread(waits, server, number)
            server.let_on(f"go-{era}")
            assert [before(await call) for call in calls] == [0, 2, 4]
        elif strategy == "reject":
            for number in (1, 2):
                assert cause(await ann.ask(f"then {number}", conversation)) == "conversation-busy"
            server.let_on(f"go-{era}")
            assert before(await calls[0]) == 0
            assert not {"began then 1", "began then 2"} & {*server.calls()}
        else:
            seen = [before(await ann.ask(f"then {number}", conversation)) for number in (1, 2)]
            assert cause(await calls[0]) == "turn-interrupted"
            assert seen == [0, 2]  # The one that was stopped had said nothing.


def waits(server: Server, depth: int) -> None:
    def now() -> int:
        return int(server.request("GET", "/health", None, A).json["queue_depth"])

    until(lambda: now() == depth, f"{depth} turns wait")


A = {"authorization": "Bearer a-token"}


@ERAS
async def test_a_call_that_is_given_up_leaves_nothing(server: Server, era: str) -> None:
    message, conversation = f"until never-{era}", f"cancel-{era}"
    async with Caller(server, era) as ann:
        call = asyncio.create_task(ann.ask(message, conversation))
        await called(server, message)
        call.cancel()
        await asyncio.to_thread(ended, server, message)
        assert before(await ann.ask("next", conversation)) == 0


def ended(server: Server, message: str) -> None:
    until(lambda: f"ended {message}" in server.calls(), "the agent has ended")


@ERAS
async def test_two_callers_share_no_conversation_and_no_line(server: Server, era: str) -> None:
    message, conversation = f"until both-{era}", f"shared-{era}"
    async with Caller(server, era) as ann, Caller(server, era, "b-token") as bob:
        running = asyncio.create_task(ann.ask(message, conversation))
        await called(server, message)
        assert before(await bob.ask("mine", conversation)) == 0
        server.let_on(f"both-{era}")
        assert before(await running) == 0
        assert before(await bob.ask("mine", conversation)) == 2


@pytest.fixture(scope="module")
def careful(strategy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its agent asks a person before it deletes."""
    target, folder = "tests.support.keepers:careful", tmp_path_factory.mktemp(f"{strategy}-asks")
    tokens = ["ann:a-token", "bob:b-token"]
    with Server(folder, target=target, strategy__name=strategy, server__tokens=tokens) as running:
        yield running


@ERAS
async def test_a_question_is_answered_by_its_caller_after_a_kill_too(
    careful: Server, era: str
) -> None:
    conversation = f"question-{era}"
    async with Caller(careful, era) as ann:
        asked = await ann.ask("delete x", conversation)
        assert asked.structured_content["status"] == "input_required"
        assert cause(await ann.ask("something else", conversation)) == "input-required"
    await asyncio.to_thread(careful.kill)
    await asyncio.to_thread(careful.start)
    decisions = {"r1": {"approve": True}}
    async with Caller(careful, era, "b-token") as bob:
        assert (await bob.resume(decisions, conversation)).is_error
    async with Caller(careful, era) as ann:
        done = await ann.resume(decisions, conversation)
    assert done.content[0].text.startswith("done: delete x")
