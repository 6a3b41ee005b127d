"""MCP's official client at `/mcp`, in both eras, over a real server."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server

pytest.importorskip("mcp")

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

MODERN, LEGACY = "2026-07-28", "legacy"
ERAS = pytest.mark.parametrize("era", [LEGACY, MODERN])


@pytest.fixture(scope="module")
def http() -> str:
    return "hypercorn"


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("careful")
    with Server(folder, target="tests.support.keepers:careful") as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    with Server(folder, server__tokens=["ann:a-token", "bob:b-token"]) as running:
        yield running


def client(server: Server, era: str, **more: Any) -> Client:
    return Client(f"http://127.0.0.1:{server.port}/mcp", mode=era, **more)


async def ask(mcp: Client, message: str, conversation: str = "default", **more: Any) -> Any:
    arguments = {"message": message, "conversation_id": conversation}
    return await mcp.call_tool("ask", arguments, **more)


def echoed(result: Any) -> dict[str, Any]:
    """What the agent said in its JSON."""
    assert not result.is_error, result
    said: dict[str, Any] = json.loads(result.content[0].text)
    return said


class Progress:
    """Everything that a call told meanwhile."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str]] = []

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.told.append((progress, message or ""))

    def said(self, words: str) -> bool:
        return any(words in message for _, message in self.told)


async def until(condition: Any) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.02)


# Both eras.


@ERAS
async def test_the_agent_is_a_tool(server: Server, era: str) -> None:
    async with client(server, era) as mcp:
        tools = (await mcp.list_tools()).tools
        assert [tool.name for tool in tools] == ["ask", "resume"]
        assert tools[0].input_schema["required"] == ["message"]
        result = await ask(mcp, "hello", f"plain-{era}")
    assert echoed(result) == {"echo": "hello", "before": 0}
    assert result.structured_content["conversation_id"] == f"plain-{era}"
    assert result.structured_content["turn"] == 1


async def test_a_client_that_probes_finds_the_modern_era(server: Server) -> None:
    async with client(server, "auto") as mcp:
        assert mcp.protocol_version == MODERN


@ERAS
async def test_a_conversation_goes_on_over_several_calls(server: Server, era: str) -> None:
    async with client(server, era) as mcp:
        for before in (0, 2, 4):
            assert echoed(await ask(mcp, "more", f"on-{era}"))["before"] == before


@ERAS
async def test_three_calls_at_once_are_answered_in_order(server: Server, era: str) -> None:
    conversation = f"three-{era}"
    async with client(server, era) as mcp:
        calls = []
        for number in range(3):
            calls.append(asyncio.create_task(ask(mcp, f"sleep 0.1 {number}", conversation)))
            await asyncio.sleep(0.03)
        results = [echoed(await call) for call in calls]
    assert [one["before"] for one in results] == [0, 2, 4]
    assert [one["content"] for one in server.history(conversation)[::2]] == [
        f"sleep 0.1 {number}" for number in range(3)
    ]


@ERAS
async def test_progress_tells_the_place_in_the_line(server: Server, era: str) -> None:
    progress = Progress()
    async with client(server, era) as mcp:
        first = asyncio.create_task(ask(mcp, f"until go-{era}", f"line-{era}"))
        await asyncio.to_thread(server.until_called, f"until go-{era}")
        second = asyncio.create_task(ask(mcp, "then", f"line-{era}", progress_callback=progress))
        await until(lambda: progress.said("Place 1 in the line"))
        server.let_on(f"go-{era}")
        await first
        assert echoed(await second)["before"] == 2
        assert progress.said("The agent works on it")
    numbers = [number for number, _ in progress.told]
    assert numbers == sorted(set(numbers))


@ERAS
async def test_a_failure_is_a_result_with_the_problems_words(server: Server, era: str) -> None:
    async with client(server, era) as mcp:
        result = await ask(mcp, "raise Exception", f"fail-{era}")
        streamed = await ask(mcp, "raise Exception", f"fail-{era}", progress_callback=Progress())
    for one in (result, streamed):
        assert one.is_error
        assert one.content[0].text.startswith("The agent failed. ")
        assert "secret" not in one.content[0].text
        assert one.structured_content["outcome"] == "rolled_back"


@ERAS
async def test_a_refusal_is_a_result_that_says_when_to_try_again(tmp_path: Path, era: str) -> None:
    with Server(tmp_path, strategy__max_waiting_per_conversation=0) as server:
        async with client(server, era) as mcp:
            first = asyncio.create_task(ask(mcp, "until go"))
            await asyncio.to_thread(server.until_called, "until go")
            refused = await ask(mcp, "too much", progress_callback=Progress())
            server.let_on("go")
            await first
    assert refused.is_error
    assert refused.structured_content["status"] == 429
    assert refused.structured_content["outcome"] == "not_started"
    assert "Try again in" in refused.content[0].text


@ERAS
async def test_a_busy_conversation_refuses_under_reject(tmp_path: Path, era: str) -> None:
    with Server(tmp_path, strategy__name="reject") as server:
        async with client(server, era) as mcp:
            first = asyncio.create_task(ask(mcp, "until go"))
            await asyncio.to_thread(server.until_called, "until go")
            refused = await ask(mcp, "too early")
            server.let_on("go")
            assert echoed(await first)["before"] == 0
            assert echoed(await ask(mcp, "now"))["before"] == 2
    assert refused.is_error
    assert refused.structured_content["status"] == 409
    assert refused.content[0].text.startswith("A turn of this conversation is running. ")


@ERAS
async def test_the_newest_message_stops_the_running_turn_under_interrupt(
    tmp_path: Path, era: str
) -> None:
    with Server(tmp_path, strategy__name="interrupt") as server:
        async with client(server, era) as mcp:
            first = asyncio.create_task(ask(mcp, "hang", progress_callback=Progress()))
            await asyncio.to_thread(server.until_called, "hang")
            assert not (await ask(mcp, "instead")).is_error
            stopped = await first
    assert stopped.is_error
    assert stopped.structured_content["type"].endswith(":turn-interrupted")


@ERAS
async def test_a_server_that_shuts_down_says_so(tmp_path: Path, era: str) -> None:
    with Server(tmp_path) as server:
        async with client(server, era) as mcp:
            await mcp.list_tools()  # Or the client does so after its first result.
            first = asyncio.create_task(ask(mcp, "until go"))
            await asyncio.to_thread(server.until_called, "until go")
            waits = asyncio.create_task(ask(mcp, "waits", progress_callback=Progress()))
            await asyncio.to_thread(server.until_depth, 1)
            server.signal(signal.SIGTERM)
            refused = await waits
            server.let_on("go")
            assert not (await first).is_error
    assert refused.is_error
    assert refused.structured_content["status"] == 503
    assert refused.structured_content["outcome"] == "not_started"


@ERAS
async def test_wrong_arguments_are_told_to_the_model(server: Server, era: str) -> None:
    async with client(server, era) as mcp:
        empty = await mcp.call_tool("ask", {"message": ""})
        unknown = await mcp.call_tool("ask", {"message": "a", "conversation": "b"})
    assert empty.is_error
    assert "text that is not empty" in empty.content[0].text
    assert unknown.is_error
    assert "conversation_id" in unknown.content[0].text


@ERAS
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_is_given_up_cancels_its_turn(
    server: Server, era: str, streamed: bool
) -> None:
    message = f"until never-{era}-{streamed}"
    more = {"progress_callback": Progress()} if streamed else {}
    async with client(server, era) as mcp:
        call = asyncio.create_task(ask(mcp, message, f"cancel-{era}-{streamed}", **more))
        await asyncio.to_thread(server.until_called, message)
        call.cancel()
        await until(lambda: f"ended {message}" in server.calls())
        assert echoed(await ask(mcp, "next", f"cancel-{era}-{streamed}"))["before"] == 0


async def test_a_stream_that_a_kill_cut_goes_on_after_the_restart(tmp_path: Path) -> None:
    progress = Progress()
    with Server(tmp_path, target="tests.support.agents:counting_attempts") as server:
        async with client(server, LEGACY) as mcp:
            call = asyncio.create_task(ask(mcp, "hang-at-first", progress_callback=progress))
            await until(lambda: any(one.startswith("began hang") for one in server.calls()))
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            result = await call
    assert json.loads(result.content[0].text)["attempt"] == 2
    assert progress.said("attempt 2")
    numbers = [number for number, _ in progress.told]
    assert numbers == sorted(set(numbers))


# What an agent asks of a person.


@ERAS
async def test_a_question_is_a_result_and_another_tool_answers_it(
    careful: Server, era: str
) -> None:
    conversation = f"question-{era}"
    async with client(careful, era) as mcp:
        asked = await ask(mcp, "delete x", conversation)
        assert not asked.is_error
        assert asked.structured_content["status"] == "input_required"
        assert asked.structured_content["requests"][0]["id"] == "r1"
        assert "- r1: Delete x? May it use delete with" in asked.content[0].text
        busy = await ask(mcp, "something else", conversation)
        assert busy.is_error
        assert "- r1: " in busy.content[0].text
        decisions = {"r1": {"approve": True}}
        arguments = {"decisions": decisions, "conversation_id": conversation}
        done = await mcp.call_tool("resume", arguments)
    assert done.content[0].text.startswith("done: delete x")


async def test_a_client_that_can_ask_its_user_does_it_itself(careful: Server) -> None:
    asked: list[str] = []

    async def answer(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"approve": True})

    async with client(careful, MODERN, elicitation_callback=answer) as mcp:
        done = await ask(mcp, "twice y", "elicited", progress_callback=Progress())
    assert done.content[0].text.startswith("done: ")
    assert [one.partition("?")[0] for one in asked] == ["Delete y", "Delete the rest"]


async def test_a_user_who_declines_is_heard(careful: Server) -> None:
    async def answer(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="decline")

    async with client(careful, MODERN, elicitation_callback=answer) as mcp:
        done = await ask(mcp, "delete z", "declined")
    assert '"approve": false' in done.content[0].text


# Two callers.


@ERAS
async def test_two_callers_have_conversations_of_their_own(guarded: Server, era: str) -> None:
    url = f"http://127.0.0.1:{guarded.port}/mcp"
    before = []
    for token in ("a-token", "b-token", "a-token"):
        carrier = httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"})
        async with (
            carrier,
            Client(streamable_http_client(url, http_client=carrier), mode=era) as mcp,
        ):
            before.append(echoed(await ask(mcp, "mine", f"one-{era}"))["before"])
    assert before == [0, 0, 2]


# What needs no client.


def post(server: Server, message: object, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.request("POST", "/mcp", message, named)


def rpc(method: str, call_id: object = 1, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}


def test_one_session_cannot_cancel_another_ones_call(server: Server) -> None:
    message = "until other-session"
    call = rpc("tools/call", 7, name="ask", arguments={"message": message})
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(post(server, call, mcp_session_id="mine"))
    )
    thread.start()
    server.until_called(message)
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
    assert post(server, cancelled, mcp_session_id="yours").status == 202
    assert post(server, cancelled).status == 202
    server.let_on("other-session")
    thread.join()
    assert not answers[0].json["result"]["isError"]


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_every_version_with_a_handshake_is_spoken(server: Server, version: str) -> None:
    started = post(server, rpc("initialize", protocolVersion=version, capabilities={}))
    assert started.json["result"]["protocolVersion"] == version
    told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    headers = {"mcp_session_id": started.headers["mcp-session-id"]}
    noted = post(server, told, mcp_protocol_version=version, **headers)
    assert (noted.status, noted.body) == (202, b"")
    listed = post(server, rpc("tools/list"), mcp_protocol_version=version, **headers)
    assert len(listed.json["result"]["tools"]) == 2


def test_a_version_from_the_future_is_answered_with_the_last_of_the_era(server: Server) -> None:
    started = post(server, rpc("initialize", protocolVersion="2031-01-01"))
    assert started.json["result"]["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"{", -32700),
        ([rpc("ping")], -32600),
        ({"id": 1, "method": "ping"}, -32600),
        (rpc("ping", None), -32600),
        (rpc("ping", 1.5), -32600),
        (rpc("ping", "\ud800"), -32600),
        (rpc("resources/list"), -32601),
        (rpc("server/discover"), -32601),
        (rpc("tools/call", name="other"), -32602),
    ],
)
def test_what_is_no_mcp_is_an_error_of_the_protocol(
    server: Server, sent: object, code: int
) -> None:
    assert post(server, sent).json["error"]["code"] == code


def test_a_header_that_contradicts_the_body_is_refused(server: Server) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    listed = rpc("tools/list", _meta=meta)
    headers = {"mcp_protocol_version": MODERN}
    assert post(server, listed, mcp_method="tools/list", **headers).status == 200
    refused = post(server, listed, mcp_method="tools/call", **headers)
    assert (refused.status, refused.json["error"]["code"]) == (400, -32020)


def test_a_version_that_is_not_known_is_told_which_are(server: Server) -> None:
    refused = post(server, rpc("tools/list"), mcp_protocol_version="2031-01-01")
    assert (refused.status, refused.json["error"]["code"]) == (400, -32022)
    assert MODERN in refused.json["error"]["data"]["supported"]


def test_there_is_no_stream_to_open(server: Server) -> None:
    answer = server.request("GET", "/mcp")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, DELETE")


def test_a_session_ends_without_a_word(server: Server) -> None:
    assert server.request("DELETE", "/mcp", headers={"mcp-session-id": "any"}).status == 204


def test_a_page_of_another_origin_is_refused(server: Server) -> None:
    refused = post(server, rpc("ping"), origin="http://evil.example")
    assert refused.status == 403
    assert "cors_origins" in refused.json["error"]["message"]
    assert post(server, rpc("ping"), origin="http://localhost").status == 200


def test_a_name_that_is_rebound_to_this_machine_is_refused(server: Server) -> None:
    refused = post(server, rpc("ping"), host="evil.example", origin="http://evil.example")
    assert refused.status == 421
    assert "allowed_hosts" in refused.json["error"]["message"]


def test_a_stranger_gets_a_401(guarded: Server) -> None:
    refused = post(guarded, rpc("ping"))
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == "Bearer"


def stream(server: Server, method: str, body: object = None, **headers: str) -> tuple[int, str]:
    """The status, and all that came."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"accept": "text/event-stream", "content-type": "application/json"}
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, "/mcp", json.dumps(body) if body else None, named)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_a_stream_is_taken_up_again_by_its_caller_alone(guarded: Server) -> None:
    ann, bob = ({"authorization": f"Bearer {name}-token"} for name in "ab")
    call = rpc("tools/call", 7, name="ask", arguments={"message": "hello"})
    call["params"] |= {"_meta": {"progressToken": "p"}}  # type: ignore[operator]
    status, events = stream(guarded, "POST", call, **ann)
    assert status == 200
    first = events.partition("id: ")[2].partition("\n")[0]
    status, again = stream(guarded, "GET", last_event_id=first, **ann)
    assert status == 200
    assert again == events.partition("\n\n")[2]
    assert stream(guarded, "GET", last_event_id=first, **bob)[0] == 404
    assert stream(guarded, "GET", last_event_id="made-up", **ann)[0] == 400


def test_an_agent_with_one_conversation_is_asked_for_no_other(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.agents:counter") as server:
        tools = post(server, rpc("tools/list")).json["result"]["tools"]
    assert "conversation_id" not in tools[0]["inputSchema"]["properties"]


def test_the_door_can_be_closed(tmp_path: Path) -> None:
    with Server(tmp_path, doors__off=["mcp"]) as server:
        assert post(server, rpc("ping")).status == 404
