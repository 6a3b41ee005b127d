"""Run with smolagents installed; skipped without it."""

from __future__ import annotations

import asyncio
import importlib
import json
import time
from base64 import b64encode
from io import BytesIO
from typing import Any

import pytest

from runner.agents.base import (
    Answered,
    Asked,
    ImagePart,
    Progress,
    Reasoning,
    ToolCall,
    ToolResult,
    Usage,
)
from runner.agents.boundary import Boundary
from runner.agents.frameworks.smolagents import FRAMEWORK
from runner.agents.threads import Threads
from strategies import AgentFailed
from tests.frameworks.examples import load_example

smolagents: Any = pytest.importorskip("smolagents")


class Talk:
    """One conversation. Its state goes through JSON, and each turn has an adapter of its own."""

    def __init__(self, agent: Any = None) -> None:
        self.agent = agent
        self.state: Any = None
        self.heard: list[str | Progress] = []

    async def say(self, message: str, **more: Any) -> Answered:
        self.heard = []
        agent = self.agent or load_example("smolagents").agent
        adapter = FRAMEWORK.adapt(agent, Threads(1).run)
        asked = Asked("c", message, state=self.state, **more)
        answered = await adapter.answer(asked, self.heard.append)
        self.state = json.loads(json.dumps(answered.state, allow_nan=False))
        return answered

    def pieces(self) -> list[str]:
        return [piece for piece in self.heard if isinstance(piece, str)]


def coder(*replies: str, **options: Any) -> Any:
    """A CodeAgent whose model says these things."""
    models, said = smolagents.models, iter(replies)

    def generate(self: Any, messages: Any, **options: Any) -> Any:
        return models.ChatMessage(models.MessageRole.ASSISTANT, next(said))

    parrot = type("Parrot", (models.Model,), {"generate": generate})
    return smolagents.CodeAgent(tools=[], model=parrot(), **options)


async def test_the_state_survives_json_and_a_new_agent() -> None:
    talk = Talk()
    assert (await talk.say("hello")).text == "1: you said hello"
    assert (await talk.say("again")).text == "2: you said again"


async def test_conversations_in_turn_do_not_mix() -> None:
    agent = load_example("smolagents").agent
    ada, bob = Talk(agent), Talk(agent)
    for u in (1, 2):
        assert (await ada.say("hi")).text == f"{u}: you said hi"
        assert (await bob.say("ho")).text == f"{u}: you said ho"


async def test_the_users_agent_stays_as_it_was() -> None:
    agent = load_example("smolagents").agent
    await Talk(agent).say("hello")
    assert agent.memory.steps == []
    assert agent.logger.console.quiet is False


async def test_the_answer_is_streamed_in_pieces() -> None:
    talk = Talk()
    answered = await talk.say('a "quoted" word \\ and 😀')
    assert len(talk.pieces()) > 1
    assert "".join(talk.pieces()) == answered.text == '1: you said a "quoted" word \\ and 😀'


async def test_without_streaming_the_answer_comes_whole() -> None:
    agent = load_example("smolagents").agent
    agent.stream_outputs = False
    talk = Talk(agent)
    assert (await talk.say("hello")).text == "1: you said hello"
    assert talk.pieces() == []


async def test_an_answer_that_may_still_be_refused_is_not_streamed() -> None:
    agent = load_example("smolagents").agent
    agent.final_answer_checks = [lambda answer, memory, agent: True]
    talk = Talk(agent)
    assert (await talk.say("hello")).text == "1: you said hello"
    assert talk.pieces() == []


async def test_tools_are_told_and_their_results_remembered() -> None:
    talk = Talk()
    assert (await talk.say("add 2 3")).text == "1: the sum is 5"
    assert [one for one in talk.heard if not isinstance(one, str)] == [
        ToolCall("call-add", "add", {"a": 2, "b": 3}),
        ToolResult("call-add", "add", 5),
        Usage(20, 10),
    ]
    assert (await talk.say("results")).text == "2: 5"


async def test_a_failed_turn_leaves_nothing_behind() -> None:
    talk = Talk(load_example("smolagents").agent)
    await talk.say("hello")
    with pytest.raises(Exception, match="secret") as raised:
        await talk.say("fail")
    assert isinstance(raised.value.__cause__, RuntimeError)
    assert (await talk.say("again")).text == "2: you said again"


async def test_a_cancelled_turn_ends_its_thread_and_leaves_nothing_behind() -> None:
    talk = Talk(load_example("smolagents").agent)
    await talk.say("hello")
    before = asyncio.all_tasks()
    turn = asyncio.create_task(talk.say("slow"))
    while not talk.pieces() or talk.pieces() == ["1: ", "you said hello"]:
        await asyncio.sleep(0.01)
    began = time.monotonic()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert time.monotonic() - began < 5  # The model would take 30 s.
    assert asyncio.all_tasks() == before
    assert (await talk.say("again")).text == "2: you said again"


async def test_a_run_ends_when_it_tells_more_than_can_be_taken() -> None:
    """I-15"""
    agent, told = load_example("smolagents").agent, list[int]()

    def talk(messages: Any, **options: Any) -> Any:
        for number in range(10_000):
            told.append(number)
            yield smolagents.models.ChatMessageStreamDelta(content="and so on " * 10)

    agent.model.generate_stream = talk
    boundary = Boundary(Threads(1), max_reply_bytes=1_000, max_state_bytes=1_000)
    adapter = FRAMEWORK.adapt(agent, boundary.in_thread)
    with pytest.raises(AgentFailed, match="progress is longer than 1000 bytes"):
        await boundary.ask(adapter, Asked("c", "hello"))
    assert len(told) < 20


async def test_images_reach_the_model_and_are_remembered() -> None:
    image: ImagePart = {"type": "image", "media_type": "image/png", "data": png()}
    talk = Talk()
    assert (await talk.say("look", parts=(image, image))).text == "1: saw 2 images"
    assert len(talk.state["images"]) == 2  # Though the task names them, and its step.
    assert (await talk.say("look")).text == "2: saw 2 images"


async def test_an_image_elsewhere_is_not_fetched() -> None:
    image: ImagePart = {"type": "image", "url": "https://example.com/a.png"}
    with pytest.raises(ValueError, match="as data"):
        await Talk().say("look", parts=(image,))


async def test_code_and_what_it_printed_are_told() -> None:
    talk = Talk(
        coder("I count.\n<code>\nprint(6 * 7)\n</code>", "<code>\nfinal_answer(42)\n</code>")
    )
    answered = await talk.say("count")
    assert (answered.text, answered.output) == ("42", 42)
    thought, call, result = talk.heard[2], talk.heard[0], talk.heard[1]
    assert isinstance(thought, Reasoning)
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert (call.name, call.arguments) == ("python_interpreter", "print(6 * 7)")
    assert "42" in result.content


async def test_variables_of_code_live_in_their_conversation_alone() -> None:
    agent = coder(
        "<code>\nx = 7\nfinal_answer('set')\n</code>",
        "<code>\nfinal_answer(x)\n</code>",
        "<code>\nfinal_answer(x)\n</code>",
        "<code>\nfinal_answer('unknown')\n</code>",
    )
    ada = Talk(agent)
    await ada.say("remember 7")
    assert (await ada.say("what was it?")).output == 7
    assert (await Talk(agent).say("what was it?")).text == "unknown"


async def test_a_managed_agent_keeps_no_variables_for_others() -> None:
    ask = "<code>\nfinal_answer(helper('go'))\n</code>"
    helper = coder(
        "<code>\nx = 7\nfinal_answer('set')\n</code>",
        "<code>\nfinal_answer(x)\n</code>",
        "<code>\nfinal_answer('unknown')\n</code>",
        name="helper",
        description="Helps.",
    )
    agent = coder(ask, ask, managed_agents=[helper])
    assert "set" in (await Talk(agent).say("set it")).text
    assert "unknown" in (await Talk(agent).say("get it")).text


async def test_an_error_in_code_is_remembered() -> None:
    talk = Talk(coder("<code>\n1 / 0\n</code>", "<code>\nfinal_answer('no')\n</code>"))
    await talk.say("divide")
    errors = [step["error"] for step in talk.state["steps"] if step.get("error")]
    assert [error["type"] for error in errors] == ["AgentExecutionError"]
    talk.agent = load_example("smolagents").agent
    assert (await talk.say("again")).text == "2: you said again"


async def test_an_answer_that_is_an_iterator_is_not_run() -> None:
    """It may have no end: `itertools` is among what a model's code may import."""
    answer = "<code>\nfinal_answer({'rows': iter([1])})\n</code>"
    assert "list_iterator object" in (await Talk(coder(answer)).say("count")).text


async def test_plans_are_remembered_and_no_part_of_the_reply() -> None:
    done = "<code>\nfinal_answer('done')\n</code>"
    talk = Talk(coder("a plan", done, "a plan", done, planning_interval=1))
    for _ in range(2):
        assert (await talk.say("do it")).text == "done"
        assert isinstance(talk.heard[0], Reasoning)


async def test_a_failure_behind_max_steps_is_no_reply() -> None:
    talk = Talk(coder("<code>\n1\n</code>", max_steps=1))
    with pytest.raises(RuntimeError, match="max_steps"):
        await talk.say("go on")


async def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    await Talk().say("add 2 3")
    assert capsys.readouterr().out == ""


def png() -> str:
    file = BytesIO()
    importlib.import_module("PIL.Image").new("RGB", (2, 2)).save(file, "PNG")
    return b64encode(file.getvalue()).decode()
