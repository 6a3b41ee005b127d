"""The Strands agent of docs/examples/container, as the server asks it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("strands", reason="strands-agents is not installed")

from runner.agents.base import Answered, Asked, Emit, Progress, ToolCall, ToolResult, unheard
from runner.agents.frameworks.strands import FRAMEWORK
from runner.agents.requests import Decision
from runner.config.sources import load
from runner.settings import SettingsError
from tests.frameworks.examples import EXAMPLES, load_example
from tests.support.caller import Caller
from tests.support.client import LIMIT_S
from tests.support.server import Server

Make = Callable[[], Any]


@pytest.fixture(scope="module")
def make_agent() -> Iterator[Make]:
    """The example's factory; its MCP server runs as long."""
    os.environ.pop("MODEL_ID", None)
    module = load_example("container")
    yield module.make_agent
    module.prices.stop(None, None, None)


async def ask(
    agent: Any, message: str, state: Any = None, emit: Emit = unheard, **more: Any
) -> Answered:
    """One turn, with a state that has been JSON in between."""

    async def in_thread(function: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(function)

    asked = Asked("default", message, state=json.loads(json.dumps(state)), **more)
    return await FRAMEWORK.adapt(agent, in_thread).answer(asked, emit)


async def test_a_tool_of_the_mcp_server_answers(make_agent: Make) -> None:
    heard: list[str | Progress] = []
    answered = await ask(make_agent(), "price tea", emit=heard.append)
    assert answered.text == "Well: tea costs 3.50."
    assert heard[:2] == [
        ToolCall("call-1", "price", {"item": "tea"}),
        ToolResult("call-1", "price", "tea costs 3.50"),
    ]
    assert heard[2:6] == ["Well: ", "tea ", "costs ", "3.50."]


async def test_a_session_goes_on_in_another_agent(make_agent: Make) -> None:
    first = await ask(make_agent(), "add 2 tea")
    second = await ask(make_agent(), "add 1 pot", first.state)
    assert second.text == "Well: 2 tea and 1 pot."
    assert (await ask(make_agent(), "hello", second.state)).text.startswith(
        "This is your message 3."
    )


@pytest.mark.parametrize(
    ("decision", "reply", "basket"),
    [
        (Decision(approve=True), "Well: ordered 2 tea.", {}),
        (Decision(approve=False), "Well: nothing was ordered.", {"tea": 2}),
    ],
)
async def test_an_order_waits_for_the_customer(
    make_agent: Make, decision: Decision, reply: str, basket: dict[str, int]
) -> None:
    first = await ask(make_agent(), "add 2 tea")
    second = await ask(make_agent(), "order", first.state)
    (request,) = second.requests
    assert request.prompt == "Order 2 tea?"
    agent = make_agent()
    third = await ask(agent, "", second.state, resume={request.id: decision})
    assert (third.text, agent.state.get("basket")) == (reply, basket)


async def test_agents_of_two_conversations_use_one_mcp_server_at_once(make_agent: Make) -> None:
    both = [ask(make_agent(), f"price {item}") for item in ("cup", "pot")]
    texts = [answered.text for answered in await asyncio.gather(*both)]
    assert texts == ["Well: cup costs 8.00.", "Well: pot costs 24.00."]


def test_a_model_of_bedrock_answers_where_one_is_named(
    make_agent: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_ID", "a-model")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert make_agent().model.get_config()["model_id"] == "a-model"


def test_the_settings_need_a_token_and_nothing_else() -> None:
    with pytest.raises(SettingsError, match="without a token"):
        load(environ={}, folder=EXAMPLES / "container")
    environ = {"RUNNER_SERVER__TOKENS": "a-token"}
    settings = load(environ=environ, folder=EXAMPLES / "container").settings
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 8080)
    assert settings.server.idle_shutdown_s == 900.0
    assert settings.agent.target == "agent:make_agent"


def test_its_session_goes_on_after_a_kill_as_its_page_says(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/turns.db"
    server = Server(
        EXAMPLES / "container",
        "--store",
        store,
        target="agent:make_agent",
        server__tokens=["a-token"],
    )
    customer = Caller(server, "a-token")
    with server:
        assert customer.chat("price tea").json["response"] == "Well: tea costs 3.50."
        assert customer.chat("add 2 tea").json["response"] == "Well: 2 tea."
        (request,) = customer.chat("order").json["requests"]
        assert request["prompt"] == "Order 2 tea?"
        tools = server.process.children()
        server.signal(signal.SIGKILL)
        server.wait()
        assert psutil.wait_procs(tools, timeout=LIMIT_S)[1] == []
        server.start()
        resume = {"resume": {request["id"]: {"approve": True}}}
        answer = customer("POST", "/chat", resume).json
        assert answer["response"] == "Well: ordered 2 tea."
        tools = server.process.children()
        assert server.stop() == 0
        assert tools
        assert psutil.wait_procs(tools, timeout=LIMIT_S)[1] == []
