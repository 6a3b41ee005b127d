"""Turns that come through one door of one process, and are asked for at another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.engine.cluster import Cluster
from tests.support.client import LIMIT_S, until
from tests.support.events import Stream
from tests.support.postgres import drop_schema, new_schema
from tests.support.server import Server


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder: Path = tmp_path_factory.mktemp("doors")
    url = new_schema()
    with Cluster(folder, url) as one:
        yield one
    drop_schema(url)


def post(server: Server, path: str, content: object, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = server.request("POST", path, content, named)
    assert answer.status in (200, 202), answer
    return answer.json


def get(server: Server, path: str) -> Any:
    answer = server.request("GET", path)
    assert answer.status == 200, answer
    return answer.json


def test_a_response_of_openai_is_polled_and_cancelled_elsewhere(cluster: Cluster) -> None:
    asked = {"model": "agent", "input": "until response", "background": True}
    response = post(cluster[0], "/v1/responses", asked)
    path = f"/v1/responses/{response['id']}"
    for server in cluster.servers:
        until(lambda at=server: get(at, path)["status"] == "in_progress", "it runs")  # type: ignore[misc]
    post(cluster[1], f"{path}/cancel", {})
    for server in cluster.servers:
        until(lambda at=server: get(at, path)["status"] == "cancelled", "it is cancelled")  # type: ignore[misc]


def test_a_response_goes_on_from_one_that_another_process_has_given(cluster: Cluster) -> None:
    first = post(cluster[0], "/v1/responses", {"model": "agent", "input": "first"})
    asked = {"model": "agent", "input": "second", "previous_response_id": first["id"]}
    second = post(cluster[1], "/v1/responses", asked)
    assert '"before": 2' in second["output"][-1]["content"][0]["text"]


def test_a_completion_under_one_key_is_one_turn(cluster: Cluster) -> None:
    asked = {"model": "agent", "messages": [{"role": "user", "content": "keyed"}]}
    answers = [
        post(server, "/v1/chat/completions", asked, idempotency_key="completion")
        for server in cluster.servers
    ]
    assert len({answer["id"] for answer in answers}) == 1
    assert len([call for call in cluster.calls() if call.startswith("began keyed")]) == 1


def test_a_task_of_a2a_is_followed_and_cancelled_elsewhere(cluster: Cluster) -> None:
    def call(server: Server, method: str, **params: object) -> Any:
        content = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return post(server, "/a2a", content, a2a_version="1.0")["result"]

    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "until task"}]}
    wanted = {"returnImmediately": True}
    task = call(cluster[0], "SendMessage", message=message, configuration=wanted)["task"]

    def state(server: Server) -> str:
        return str(call(server, "GetTask", id=task["id"])["status"]["state"])

    until(lambda: state(cluster[1]) == "TASK_STATE_WORKING", "it works")
    call(cluster[2], "CancelTask", id=task["id"])
    for server in cluster.servers:
        until(lambda at=server: state(at) == "TASK_STATE_CANCELED", "it is cancelled")  # type: ignore[misc]


def test_a_run_of_langgraph_is_joined_elsewhere(cluster: Cluster) -> None:
    says = {"messages": [{"role": "user", "content": "until run"}]}
    run = post(
        cluster[0], "/langgraph/threads/joined/runs", {"assistant_id": "agent", "input": says}
    )
    path = f"/langgraph/threads/joined/runs/{run['run_id']}"
    until(lambda: get(cluster[1], path)["status"] == "running", "it runs")
    with Stream(cluster[2].port, path=f"{path}/stream") as stream:
        cluster.let_on("run")
        assert stream.rest()[-1].kind == "end"
    shown = get(cluster[1], "/langgraph/threads/joined/state")
    assert len(shown["values"]["messages"]) == 2


def test_one_conversation_goes_on_through_two_doors_of_two_processes(cluster: Cluster) -> None:
    arguments = {"message": "by mcp", "conversation_id": "doors"}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    post(cluster[0], "/mcp", {**call, "params": {"name": "ask", "arguments": arguments}})
    message = {"id": "m", "role": "user", "content": "by ag-ui"}
    run = {"threadId": "doors", "runId": "r", "messages": [message], "state": {}}
    whole = {**run, "tools": [], "context": [], "forwardedProps": {}}
    with closing(HTTPConnection("127.0.0.1", cluster[1].port, timeout=LIMIT_S)) as connection:
        named = {"content-type": "application/json", "accept": "text/event-stream"}
        connection.request("POST", "/ag-ui", json.dumps(whole), named)
        assert b"RUN_FINISHED" in connection.getresponse().read()
    said = [one["content"] for one in cluster[2].history("doors") if one["role"] == "user"]
    assert said == ["by mcp", "by ag-ui"]
