"""OpenAI's door over plain HTTP: what no client of its own would show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server

STRANGE: list[Any] = [
    {"input": 5},
    {"input": ["text"]},
    {"input": [{"type": ["message"], "role": "user", "content": "x"}]},
    {"input": [{"role": ["user"], "content": "x"}]},
    {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_file", "filename": ["//["]}]}]},
    {"input": "\ud800"},
    {"input": "x", "conversation": []},
    {"input": "x", "conversation": {"id": 5}},
    {"input": "x", "conversation": "a b"},
    {"input": "x", "metadata": {"a": 1}},
    {"input": "x", "previous_response_id": "resp_1", "conversation": "c"},
    {"input": [{"type": "mcp_approval_response", "approval_request_id": "r", "approve": 1}]},
    {"input": [{"type": "mcp_approval_response", "approval_request_id": "\ud800"}]},
    {"resume": {}},
]


@pytest.mark.parametrize("fields", STRANGE, ids=str)
def test_what_is_wrong_is_an_error_object_that_names_the_field(server: Server, fields: Any) -> None:
    answer = server.request("POST", "/v1/responses", fields)
    assert answer.status == 422, answer
    error = answer.json["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith("/")
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("name", ["resp_1", "resp_%ED%A0%80", "x", "resp_" + "0" * 32, "resp_%00"])
def test_a_response_that_never_was_is_not_found(server: Server, name: str) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel")):
        answer = server.request(method, f"/v1/responses/{name}{path}")
        assert (answer.status, answer.json["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("after", ["x", "--1", "9" * 16, "1.5", ""])
def test_a_stream_goes_on_after_a_number_only(server: Server, after: str) -> None:
    response = server.request("POST", "/v1/responses", {"input": "hello"}).json["id"]
    path = f"/v1/responses/{response}?stream=true&starting_after={after}"
    assert server.request("GET", path).status == 422


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "after=msg_9"])
def test_a_page_that_cannot_be_is_refused(server: Server, query: str) -> None:
    server.request("POST", "/v1/responses", {"input": "hello", "conversation": "pages"})
    answer = server.request("GET", f"/v1/conversations/pages/items?{query}")
    assert answer.status == 422


def test_a_conversation_is_not_begun_with_items(server: Server) -> None:
    items = [{"role": "user", "content": "hello"}]
    answer = server.request("POST", "/v1/conversations", {"items": items})
    assert (answer.status, answer.json["error"]["param"]) == (422, "/items")


def test_the_description_has_all_routes_of_the_door(server: Server) -> None:
    paths = server.request("GET", "/openapi.json").json["paths"]
    assert {"post"} == {*paths["/v1/responses"]}
    assert {"get", "delete"} == {*paths["/v1/responses/{response_id}"]}
    assert {"get", "post", "delete"} == {*paths["/v1/conversations/{name}"]}
    assert server.request("GET", "/docs").status == 200


def test_a_door_that_is_off_is_not_there(folder: Path) -> None:
    with Server(folder, doors__off=["openai"]) as server:
        assert server.request("POST", "/v1/responses", {"input": "hello"}).status == 404
