"""Run with AutoGen installed; skipped without it."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from base64 import b64encode
from functools import cache
from io import BytesIO
from typing import Any

import pytest
from pydantic import create_model

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
from runner.agents.frameworks.autogen import FRAMEWORK
from runner.agents.frameworks.framework import Unsupported
from tests.frameworks.examples import load_example

agents: Any = pytest.importorskip("autogen_agentchat.agents")
conditions: Any = pytest.importorskip("autogen_agentchat.conditions")
teams: Any = pytest.importorskip("autogen_agentchat.teams")
models: Any = pytest.importorskip("autogen_core.models")


@cache
def adapter_for(agent: Any) -> Any:
    return FRAMEWORK.adapt(agent, no_threads)


class Talk:
    """One conversation. Its state goes through JSON; without an agent, each turn has its own."""

    def __init__(self, agent: Any = None) -> None:
        self.agent = agent
        self.state: Any = None
        self.heard: list[str | Progress] = []

    async def say(self, message: str, **more: Any) -> Answered:
        self.heard = []
        adapter = adapter_for(self.agent or load_example("autogen").agent)
        asked = Asked("c", message, state=self.state, **more)
        answered: Answered = await adapter.answer(asked, self.heard.append)
        self.state = json.loads(json.dumps(answered.state, allow_nan=False))
        return answered

    async def twice(self, message: str) -> Answered:
        await self.say(message)
        return await self.say(message)

    def pieces(self) -> list[str]:
        return [piece for piece in self.heard if isinstance(piece, str)]


async def no_threads(function: Any) -> Any:
    raise AssertionError("it is async")


def assistant(name: str, **options: Any) -> Any:
    return agents.AssistantAgent(name, model(), **options)


def model(*replies: Any) -> Any:
    """The example's model, or one that gives these replies: texts, or names of tools to call."""
    scripted = load_example("autogen").agent._model_client
    if not replies:
        return scripted
    script, core = iter(replies), importlib.import_module("autogen_core")

    def result(reply: Any) -> Any:
        names = reply[1:].split("+") if reply.startswith("@") else []
        calls = [core.FunctionCall(str(n), "{}", name) for n, name in enumerate(names, 1)]
        return models.CreateResult(
            finish_reason="function_calls" if calls else "stop",
            content=calls or reply,
            usage=models.RequestUsage(1, 1),
            cached=False,
        )

    async def create(messages: Any, **options: Any) -> Any:
        return result(next(script))

    async def create_stream(messages: Any, **options: Any) -> Any:
        for piece in iter(lambda: next(script), "END"):
            yield piece
        yield result(next(script))

    scripted.create, scripted.create_stream = create, create_stream
    return scripted


def pair() -> Any:
    """A team of two that both answer once."""
    members = [
        assistant("one", model_client_stream=True),
        assistant("two", model_client_stream=True),
    ]
    return teams.RoundRobinGroupChat(
        members, termination_condition=conditions.MaxMessageTermination(3)
    )


async def test_the_state_survives_json_and_a_new_agent() -> None:
    talk = Talk()
    assert (await talk.say("hello")).text == "1: you said hello"
    assert (await talk.say("again")).text == "2: you said again"


async def test_conversations_in_turn_do_not_mix() -> None:
    agent = load_example("autogen").agent
    ada, bob = Talk(agent), Talk(agent)
    for u in (1, 2):
        assert (await ada.say("hi")).text == f"{u}: you said hi"
        assert (await bob.say("ho")).text == f"{u}: you said ho"


async def test_the_answer_is_streamed_in_pieces() -> None:
    talk = Talk()
    answered = await talk.say("hello")
    assert len(talk.pieces()) > 1
    assert "".join(talk.pieces()) == answered.text


async def test_without_streaming_the_answer_comes_whole() -> None:
    talk = Talk(assistant("whole"))
    assert (await talk.say("hello")).text == "1: you said hello"
    assert talk.pieces() == ["1: you said hello"]


async def test_tools_are_told_and_their_results_remembered() -> None:
    talk = Talk()
    assert (await talk.say("add 2 3")).text == "1: the sum is 5"
    assert [one for one in talk.heard if not isinstance(one, str)] == [
        ToolCall("call-1", "add", {"a": 2, "b": 3}),
        ToolResult("call-1", "add", "5"),
        Usage(20, 10),
    ]
    assert (await talk.say("results")).text == "2: 5"


async def test_without_reflection_the_tools_result_is_the_reply() -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    add.__annotations__ = {"a": int, "b": int, "return": int}
    talk = Talk(assistant("adder", tools=[add], model_client_stream=True))
    assert (await talk.say("add 2 3")).text == "5"


async def test_words_before_a_tool_are_part_of_the_reply() -> None:
    def now() -> str:
        """Now."""
        return "noon"

    now.__annotations__ = {"return": str}
    client = model("Let me see.", "END", "@now", "It is ", "noon.", "END", "It is noon.")
    agent = agents.AssistantAgent(
        "clock", client, tools=[now], model_client_stream=True, reflect_on_tool_use=True
    )
    talk = Talk(agent)
    assert (await talk.say("when")).text == "Let me see.\n\nIt is noon."
    assert "".join(talk.pieces()) == "Let me see.\n\nIt is noon."


async def test_thoughts_are_no_part_of_the_reply() -> None:
    client = model("<think>hm", " well", "</think>", "yes", "END", "yes")
    talk = Talk(agents.AssistantAgent("thinker", client, model_client_stream=True))
    assert (await talk.say("sure?")).text == "yes"
    thoughts = [one.text for one in talk.heard if isinstance(one, Reasoning)]
    assert thoughts == ["hm", " well"]


async def test_a_structured_answer_is_the_output() -> None:
    answer = create_model("Answer", n=(int, ...))
    talk = Talk(agents.AssistantAgent("counter", model('{"n": 1}'), output_content_type=answer))
    answered = await talk.say("count")
    assert (json.loads(answered.text), answered.output) == ({"n": 1}, {"n": 1})


async def test_a_team_that_ends_at_once_says_nothing() -> None:
    end = conditions.MaxMessageTermination(1)
    team = teams.RoundRobinGroupChat([assistant("one")], termination_condition=end)
    assert (await Talk(team).say("hello")).text == ""


@pytest.mark.parametrize(("level", "is_logged"), [(logging.NOTSET, False), (logging.INFO, True)])
async def test_what_tools_are_given_is_logged_only_where_the_user_wants_it(
    level: int, is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(level, "autogen_core")
    await Talk(load_example("autogen").agent).say("add 2 3")
    assert bool(caplog.records) == is_logged


async def test_a_failed_turn_leaves_nothing_behind() -> None:
    talk = Talk(load_example("autogen").agent)
    await talk.say("hello")
    with pytest.raises(RuntimeError, match="secret"):
        await talk.say("fail")
    assert (await talk.say("again")).text == "2: you said again"


@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit])
@pytest.mark.parametrize("in_team", [False, True])
async def test_a_tool_that_ends_its_task_fails_the_turn(
    kind: type[BaseException], in_team: bool
) -> None:
    async def leave() -> str:
        """Leave."""
        raise kind

    async def wait() -> str:
        """Wait."""
        await asyncio.sleep(30)
        return "waited"

    leave.__annotations__ = wait.__annotations__ = {"return": str}
    client = model("@leave+wait", "here")
    agent = agents.AssistantAgent("leaver", client, tools=[leave, wait])
    talk = Talk(teams.RoundRobinGroupChat([agent], max_turns=1) if in_team else agent)
    before = asyncio.all_tasks()
    with pytest.raises(RuntimeError, match=kind.__name__):
        await asyncio.wait_for(talk.say("hello"), 5)
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before
    assert (await talk.say("hello")).text == "here"


async def test_a_workbench_that_fails_fails_the_turn() -> None:
    core = importlib.import_module("autogen_core.tools")

    class Broken(core.StaticWorkbench):  # type: ignore[name-defined]
        async def call_tool(self, *args: Any, **options: Any) -> Any:
            raise ConnectionError("gone")

    def look() -> str:
        """Look."""
        return "seen"

    look.__annotations__ = {"return": str}
    tools = Broken([core.FunctionTool(look, "Look.")])
    agent = agents.AssistantAgent("broken", model("@look"), workbench=tools)
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(Talk(agent).say("hello"), 5)


def one_of_each() -> list[Any]:
    nested = teams.RoundRobinGroupChat([pair()], max_turns=1)
    return [
        load_example("autogen").agent,
        pair(),
        nested,
        agents.SocietyOfMindAgent("mind", pair(), model()),
    ]


@pytest.mark.parametrize("agent", one_of_each(), ids=lambda agent: type(agent).__name__)
async def test_a_cancelled_turn_leaves_nothing_behind(agent: Any) -> None:
    talk = Talk(agent)
    first = await talk.say("hello")
    before = asyncio.all_tasks()
    turn = asyncio.create_task(talk.say("slow"))
    for _ in range(20):
        await asyncio.sleep(0.01)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(turn, 5)
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == before
    again = await talk.say("hello")
    assert again.text != first.text  # It has counted on.
    assert again.text == (await Talk(agent).twice("hello")).text


async def test_images_reach_the_model_and_are_remembered() -> None:
    image: ImagePart = {"type": "image", "media_type": "image/png", "data": png()}
    talk = Talk()
    parts = ({"type": "text", "text": "look"}, image, image)
    assert (await talk.say("look", parts=parts)).text == "1: saw 2 images"
    assert (await talk.say("look")).text == "2: saw 2 images"


async def test_an_image_elsewhere_is_not_fetched() -> None:
    image: ImagePart = {"type": "image", "url": "https://example.com/a.png"}
    with pytest.raises(ValueError, match="as data"):
        await Talk().say("look", parts=(image,))


async def test_the_members_of_a_team_are_parted_by_empty_lines() -> None:
    talk = Talk(pair())
    answered = await talk.say("hello")
    assert answered.text == "1: you said hello\n\n2: you said 1: you said hello"
    assert "".join(talk.pieces()) == answered.text
    assert len(talk.pieces()) > 2


async def test_a_teams_state_survives_json_and_a_new_team() -> None:
    talk = Talk(pair())
    await talk.say("hello")
    talk.agent = pair()
    assert (await talk.say("again")).text.startswith("3: you said again")


async def test_conversations_with_a_team_do_not_mix() -> None:
    team = pair()
    first = await Talk(team).say("hello")
    assert (await Talk(team).say("hello")).text == first.text


async def test_a_team_that_failed_answers_again() -> None:
    talk = Talk(pair())
    await talk.say("hello")
    before = asyncio.all_tasks()
    with pytest.raises(RuntimeError, match="secret"):
        await talk.say("fail")
    assert asyncio.all_tasks() == before
    assert (await talk.say("again")).text.startswith("3: you said again")


async def test_agents_of_a_graph_that_speak_at_once_are_not_mixed_up() -> None:
    one, two = assistant("one", model_client_stream=True), assistant("two")
    builder = teams.DiGraphBuilder()
    builder.add_node(one).add_node(two)
    talk = Talk(teams.GraphFlow([one, two], builder.build()))
    answered = await talk.say("hello")
    assert answered.text == "1: you said hello\n\n1: you said hello"
    assert len(talk.pieces()) == 2


async def test_a_swarm_that_was_handed_to_the_user_goes_on_with_who_asked() -> None:
    def swarm(*replies: str) -> Any:
        asker = agents.AssistantAgent("asker", model(*replies), handoffs=["user"])
        end = conditions.HandoffTermination("user") | conditions.TextMentionTermination("END")
        return teams.Swarm([asker], termination_condition=end)

    talk = Talk(swarm("@transfer_to_user"))
    await talk.say("hello")
    talk.agent = swarm("thank you. END")
    assert (await talk.say("42")).text == "thank you. END"


def test_a_proxy_that_reads_from_the_console_is_refused() -> None:
    team = teams.RoundRobinGroupChat([assistant("one"), agents.UserProxyAgent("me")])
    with pytest.raises(Unsupported, match="me is a UserProxyAgent"):
        FRAMEWORK.adapt(team, no_threads)


def png() -> str:
    file = BytesIO()
    importlib.import_module("PIL.Image").new("RGB", (2, 2)).save(file, "PNG")
    return b64encode(file.getvalue()).decode()


@pytest.mark.parametrize("kind", ["RoundRobinGroupChat", "SelectorGroupChat", "Swarm"])
def test_a_team_that_would_never_end_is_refused(kind: str) -> None:
    def make(**ends: Any) -> Any:
        members = [assistant("one", handoffs=["two"]), assistant("two")]
        selects = {"model_client": model()} if kind == "SelectorGroupChat" else {}
        return getattr(teams, kind)(members, **selects, **ends)

    for endless in (make(), agents.SocietyOfMindAgent("mind", make(), model())):
        with pytest.raises(Unsupported, match="a termination_condition or max_turns"):
            adapter_for(endless)
    assert adapter_for(make(max_turns=2))
    assert adapter_for(make(termination_condition=conditions.MaxMessageTermination(3)))
