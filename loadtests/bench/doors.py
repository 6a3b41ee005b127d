"""What a door costs: a turn through it, by the same turn at `/chat`, plain or streamed alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loadtests.bench.candidates import runner, serving, sqlite
from loadtests.bench.client import post, request
from loadtests.bench.cost import CONNECTIONS, Cost, cost, interleaved
from loadtests.bench.figures import ratios, show, show_micros, title
from loadtests.runs.servers import Served

Ask = Callable[[str, int], bytes]
"""A request from a conversation's id and the number of turns that it has had."""

JSON, EVENTS = "application/json", "text/event-stream"
HELLO, OK = {"role": "user", "content": "hello"}, {"role": "assistant", "content": "ok"}


def measure(quick: bool) -> None:
    rounds, turns = (2, 5) if quick else (9, 20)
    title("CPU time of a turn through a door / of the same turn at /chat", rounds)
    with serving({"runner": runner("ok", sqlite("doors"))}) as all_served:
        served = all_served["runner"]
        candidates = {name: _asking(served, name, ask, turns) for name, ask in ASKS.items()}
        costs = interleaved(candidates, rounds)
    cpu = {name: [each.cpu_s for each in found] for name, found in costs.items()}
    for name in ASKS:
        if name not in ("/chat", STREAMED):
            beside = STREAMED if name.endswith("streamed") else "/chat"
            show(name, ratios(cpu[name], cpu[beside]), "aim 1.2")
    show_micros("CPU time of a turn", cpu)


def _asking(served: Served, name: str, ask: Ask, turns: int) -> Callable[[int], Cost]:
    def run(number: int) -> Cost:
        clients = [_name(name, number, client) for client in range(CONNECTIONS)]
        return cost(served, [[ask(own, turn) for turn in range(turns)] for own in clients])

    return run


def _name(name: str, number: int, client: int) -> str:
    """The form of a UUID, which LangGraph's threads have."""
    return f"{[*ASKS].index(name):08x}-0000-4000-8000-{number:06x}{client:06x}"


def _chat(own: str, _: int) -> bytes:
    return request("hello", own)


def _chat_streamed(own: str, _: int) -> bytes:
    return request("hello", own, streamed=True)


def _openai(path: str, **more: Any) -> Ask:
    accept = EVENTS if more.get("stream") else JSON

    def ask(own: str, _: int) -> bytes:
        named: dict[str, Any] = {"messages": [HELLO], "conversation_id": own}
        if path == "/v1/responses":
            named = {"input": "hello", "conversation": own}
        return post(path, {"model": "agent", **named, **more}, accept=accept)

    return ask


def _whole_history(own: str, turn: int) -> bytes:
    """As chat programs send it; no two begin alike."""
    begun = {"role": "user", "content": f"hello from {own}"}
    messages = [begun, *[OK, HELLO] * turn]
    return post("/v1/chat/completions", {"model": "agent", "messages": messages}, accept=JSON)


def _ag_ui(own: str, turn: int) -> bytes:
    lists: dict[str, Any] = {"state": {}, "tools": [], "context": [], "forwardedProps": {}}
    run = {"threadId": own, "runId": f"run{turn}", "messages": [{"id": f"m{turn}", **HELLO}]}
    return post("/ag-ui", {**run, **lists, "protocolVersion": "1.0"}, accept=EVENTS)


def _a2a(method: str) -> Ask:
    def ask(own: str, turn: int) -> bytes:
        said = {"messageId": f"{own}-{turn}", "contextId": own, "role": "ROLE_USER"}
        params = {"message": {**said, "parts": [{"text": "hello"}]}}
        call = {"jsonrpc": "2.0", "id": turn, "method": method, "params": params}
        accept = EVENTS if "Stream" in method else JSON
        return post("/a2a", call, accept=accept, a2a_version="1.0")

    return ask


def _langgraph(how: str, **more: Any) -> Ask:
    def ask(own: str, _: int) -> bytes:
        run = {"assistant_id": "agent", "input": {"messages": [HELLO]}, **more}
        run["if_not_exists"] = "create"
        return post(f"/langgraph/threads/{own}/runs/{how}", run, accept="*/*")

    return ask


def _mcp(own: str, turn: int) -> bytes:
    asked = {"name": "ask", "arguments": {"message": "hello", "conversation_id": own}}
    call = {"jsonrpc": "2.0", "id": turn, "method": "tools/call", "params": asked}
    version = {"mcp_protocol_version": "2025-11-25"}
    return post("/mcp", call, accept=f"{JSON}, {EVENTS}", **version)


STREAMED = "/chat, streamed"
ASKS: dict[str, Ask] = {
    "/chat": _chat,
    STREAMED: _chat_streamed,
    "chat completions": _openai("/v1/chat/completions"),
    "chat completions, whole history": _whole_history,
    "chat completions, streamed": _openai("/v1/chat/completions", stream=True),
    "responses": _openai("/v1/responses"),
    "responses, streamed": _openai("/v1/responses", stream=True),
    "AG-UI, streamed": _ag_ui,
    "A2A": _a2a("SendMessage"),
    "A2A, streamed": _a2a("SendStreamingMessage"),
    "LangGraph, wait": _langgraph("wait"),
    "LangGraph, streamed": _langgraph("stream", stream_mode=["messages-tuple"]),
    "MCP": _mcp,
}
"""Each sends what its official client sends. Those that are streamed end with `streamed`."""
