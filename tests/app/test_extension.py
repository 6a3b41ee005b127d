"""What users add to the Quart app: their routes have the same tokens, bounds and problems."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import Blueprint, Quart, request

from runner.app import make_app
from runner.cli.compose import compose
from runner.settings import ServerSettings, Settings, StoreSettings
from strategies import ServerFull

MINE = Blueprint("mine", __name__)


@MINE.post("/mine/<name>")
async def mine(name: str) -> dict[str, Any]:
    return {"name": name, "body": await request.get_json()}


@MINE.get("/fails")
async def fails() -> str:
    raise ServerFull


@MINE.get("/named")
async def named() -> tuple[str, dict[str, str]]:
    return "", {"X-Request-Id": "its own"}


@pytest.fixture
async def app() -> AsyncIterator[Quart]:
    settings = Settings(
        server=ServerSettings(tokens=("ann:secret",)), store=StoreSettings(url="memory:")
    )
    app = make_app(compose(settings))
    app.register_blueprint(MINE)
    async with app.test_app():
        yield app


HEADERS = {"authorization": "Bearer secret"}


async def test_a_blueprint_of_ones_own_is_given_its_body(app: Quart) -> None:
    answer = await app.test_client().post("/mine/x", json={"a": 1}, headers=HEADERS)
    assert await answer.get_json() == {"name": "x", "body": {"a": 1}}


async def test_a_blueprint_of_ones_own_has_the_servers_tokens(app: Quart) -> None:
    answer = await app.test_client().post("/mine/x", json={})
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"


async def test_an_error_in_ones_own_route_is_a_problem_document(app: Quart) -> None:
    answer = await app.test_client().get("/fails", headers=HEADERS)
    assert answer.status_code == 503
    assert (await answer.get_json())["type"] == "urn:turnline:problem:server-full"


async def test_an_answer_has_one_request_id_and_it_is_that_of_the_log(app: Quart) -> None:
    headers = {**HEADERS, "x-request-id": "mine"}
    answer = await app.test_client().get("/named", headers=headers)
    assert answer.headers.getlist("x-request-id") == ["mine"]


async def test_a_path_that_nobody_has_is_a_problem_document(app: Quart) -> None:
    answer = await app.test_client().get("/nowhere", headers=HEADERS)
    assert answer.status_code == 404
    assert (await answer.get_json())["type"] == "urn:turnline:problem:not-found"


async def test_a_method_that_ones_own_route_lacks_is_a_problem_document(app: Quart) -> None:
    answer = await app.test_client().delete("/mine/x", headers=HEADERS)
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


async def test_head_is_get_without_the_body(app: Quart) -> None:
    answer = await app.test_client().head("/health/live")
    assert answer.status_code == 200
    assert await answer.get_data() == b""


async def test_our_own_routes_answer_in_the_test_client_too(app: Quart) -> None:
    client = app.test_client()
    answer = await client.post("/chat", json={"message": "Hello"}, headers=HEADERS)
    assert (await answer.get_json())["turn"] == 1


@pytest.mark.parametrize("may_deny", [True, False])
async def test_a_server_that_speaks_websocket_is_told_to_refuse(
    app: Quart, *, may_deny: bool
) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        sent.append(event)

    scope: Any = {"type": "websocket", "path": "/chat", "headers": []}
    if may_deny:
        scope["extensions"] = {"websocket.http.response": {}}
    await app.asgi_app(scope, receive, send)
    kinds = ["websocket.http.response.start", "websocket.http.response.body"]
    assert [event["type"] for event in sent] == (kinds if may_deny else ["websocket.close"])
    assert not may_deny or sent[0]["status"] == 400
