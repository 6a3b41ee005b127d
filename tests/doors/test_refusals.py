"""Whatever is refused below a door is refused in its words, before its handler is called too."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Answer, chat, encode, receive, send, until
from tests.support.server import Knobs, Server

JSON = "application/json"


def in_openai(answer: Answer) -> str:
    assert answer.headers["content-type"] == JSON
    error = answer.json["error"]
    assert {*error} >= {"message", "type", "param", "code"}
    may_retry = answer.status in (429, 503)
    assert answer.headers["x-should-retry"] == str(may_retry).lower()
    assert int(answer.headers.get("retry-after-ms", 500)) >= 500  # It tries twice, and no more.
    return str(error["message"])


def in_ag_ui(answer: Answer) -> str:
    assert answer.headers["content-type"] == JSON
    return str(answer.json["message"])


def in_rpc(answer: Answer) -> str:
    assert answer.headers["content-type"] == JSON
    document = answer.json
    assert document["jsonrpc"] == "2.0"
    if "result" in document:  # Of MCP, where a turn is a tool's result.
        assert document["result"]["isError"]
        return str(document["result"]["content"][0]["text"])
    assert isinstance(document["error"]["code"], int)
    return str(document["error"]["message"])


def in_langgraph(answer: Answer) -> str:
    return str(answer.json["detail"])


def chat_completion(message: str) -> Any:
    said = [{"role": "user", "content": message}]
    return {"model": "agent", "messages": said, "conversation_id": "of-chat"}


def ag_ui_run(message: str) -> Any:
    said = [{"id": "1", "role": "user", "content": message}]
    return {"threadId": "of-ag_ui", "runId": "r", "messages": said, "tools": [], "context": []}


def a2a_call(message: str) -> Any:
    said = {
        "messageId": "1",
        "contextId": "of-a2a",
        "role": "ROLE_USER",
        "parts": [{"text": message}],
    }
    return {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": said}}


def langgraph_run(message: str) -> Any:
    said = [{"role": "user", "content": message}]
    return {"assistant_id": "agent", "input": {"messages": said}}


def mcp_call(message: str) -> Any:
    params = {"name": "ask", "arguments": {"message": message, "conversation_id": "of-mcp"}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


@dataclass(frozen=True)
class Door:
    """What its client sends, and what it reads of an answer.

    words     gives the text that a person is shown.
    statuses  those that are others in this door.
    refused   the status of a refusal by the strategy.
    """

    conversation: str
    path: str
    unknown: str
    says: Callable[[str], Any]
    words: Callable[[Answer], str]
    statuses: Mapping[int, int] = field(default_factory=dict[int, int])
    refused: int | None = None

    def check(self, answer: Answer, status: int, words: str, what: str = "") -> None:
        assert answer.status == self.statuses.get(status, status), answer
        assert words in self.words(answer)


THREAD = "0190b6a6-7a2e-7000-8000-000000000001"
IN_200 = {400: 200, 408: 200, 413: 200, 415: 200}
DOORS = {
    "chat": Door("of-chat", "/v1/chat/completions", "/v1/embeddings", chat_completion, in_openai),
    "ag_ui": Door("of-ag_ui", "/ag-ui", "/ag-ui/more", ag_ui_run, in_ag_ui),
    "a2a": Door("of-a2a", "/a2a", "/a2a/more", a2a_call, in_rpc, IN_200, refused=200),
    "langgraph": Door(
        THREAD,
        f"/langgraph/threads/{THREAD}/runs/wait",
        "/langgraph/nothing/here",
        langgraph_run,
        in_langgraph,
    ),
    "mcp": Door("of-mcp", "/mcp", "/mcp/more", mcp_call, in_rpc, refused=200),
}
KNOBS: Knobs = {
    "server__tokens": ["ann:a-token"],
    "server__max_body_bytes": 4_000,
    "server__body_timeout_s": 0.5,
    "strategy__max_waiting_per_conversation": 0,
}
TOKEN = {"authorization": "Bearer a-token"}


@pytest.fixture(scope="module")
def http() -> str:
    return "hypercorn"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("refusals"), **KNOBS) as running:
        yield running


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


def raw(server: Server, data: bytes) -> Answer:
    with send(server.port, data) as connection:
        return receive(connection)


def ask(server: Server, door: Door, content: object, **headers: str) -> Answer:
    return server.request("POST", door.path, content, {**TOKEN, **headers})


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_path_that_the_door_has_not(server: Server, door: Door, method: str) -> None:
    door.check(server.request(method, door.unknown, {}, TOKEN), 404, "has no such path")


def test_a_method_that_the_path_has_not(server: Server, door: Door) -> None:
    answer = server.request("PUT", door.path, {}, TOKEN)
    door.check(answer, 405, "Allow header")
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}], ids=["none", "wrong"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_a_stranger(
    server: Server, door: Door, method: str, headers: dict[str, str], is_known: bool
) -> None:
    path = door.path if is_known else door.unknown
    answer = server.request(method, path, {}, headers)
    door.check(answer, 401, "server's tokens")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_that_a_door_takes_in_a_header_of_its_own_counts_everywhere_below_it(
    server: Server,
) -> None:
    for path in ("/langgraph/ok", "/langgraph/store/items"):
        answer = server.request("PUT", path, {}, {"x-api-key": "a-token"})
        assert answer.status in (404, 405)
    assert server.request("PUT", "/v1/models", {}, {"x-api-key": "a-token"}).status == 401


def test_a_host_that_is_not_the_servers(server: Server, door: Door) -> None:
    door.check(ask(server, door, {}, host="evil.example"), 421, "allowed_hosts")


def test_a_host_that_is_none(server: Server, door: Door) -> None:
    door.check(ask(server, door, {}, host="a b"), 400, "Send Host")


def test_a_target_that_is_meant_for_proxies(server: Server, door: Door) -> None:
    head = {"host": "evil.example"}
    answer = raw(server, encode("POST", f"http://evil.example{door.path}", {}, head))
    door.check(answer, 421, "allowed_hosts")


def test_a_body_that_is_too_large(server: Server, door: Door) -> None:
    door.check(ask(server, door, b" " * 4_001), 413, "4000 bytes")
    head = {**TOKEN, "content-type": JSON, "transfer-encoding": "chunked"}
    chunk = b"fa1\r\n" + b" " * 4_001 + b"\r\n0\r\n\r\n"
    answer = raw(server, encode("POST", door.path, headers=head) + chunk)
    door.check(answer, 413, "4000 bytes")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100, b'{"a": NaN}'], ids=repr)
def test_a_body_that_is_no_json(server: Server, door: Door, body: bytes) -> None:
    answer = ask(server, door, body)
    assert answer.status in {400, door.statuses.get(400, 400), door.statuses.get(422, 422)}
    assert door.words(answer)


def test_a_body_that_does_not_come(server: Server, door: Door) -> None:
    head = {**TOKEN, "content-length": "10"}
    door.check(raw(server, encode("POST", door.path, b"{", head)), 408, "within 0.5 s")


def test_a_line_that_is_full(server: Server, door: Door) -> None:
    message = f"until {door.conversation}"
    with send(server.port, chat(message, door.conversation, **TOKEN)) as running:
        server.until_called(message)
        refused = ask(server, door, door.says("too much"))
        server.let_on(door.conversation)
        assert receive(running).status == 200
    assert refused.status == door.refused or refused.status == 429
    assert door.words(refused).count("The line") == 1  # Its title is how the detail begins.
    assert refused.headers.get("retry-after") or "Try again in" in door.words(refused)


def test_a_server_that_shuts_down(door: Door, tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        with send(server.port, chat("until go", "other")) as running:
            server.until_called("until go")
            server.signal(signal.SIGTERM)
            until(lambda: server.request("GET", "/health/ready").status == 503, "it drains")
            refused = ask(server, door, door.says("too late"))
            server.let_on("go")
            assert receive(running).status == 200
    assert refused.status == (door.refused or 503)
    assert "shutting down" in door.words(refused)
