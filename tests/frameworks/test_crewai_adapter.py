import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from runner.agents.base import Answered, Asked, ToolCall, ToolResult
from runner.agents.boundary import Boundary
from runner.agents.frameworks.crewai import FRAMEWORK
from runner.agents.frameworks.framework import Adapter, Unsupported
from runner.agents.threads import Threads
from strategies import AgentFailed
from tests.frameworks.examples import load_example

crewai = pytest.importorskip("crewai", reason="CrewAI is not installed")


@pytest.fixture
def make_agent() -> Callable[[], Any]:
    """Makes the example's agent, each time a new one."""
    return lambda: load_example("crewai").agent


@pytest.fixture
def adapt() -> Callable[[Any], Adapter]:
    threads = Threads(4)
    return lambda agent: FRAMEWORK.adapt(agent, threads.run)


class Heard:
    def __init__(self) -> None:
        self.all: list[Any] = []

    def __call__(self, piece: Any) -> None:
        self.all.append(piece)

    @property
    def text(self) -> list[str]:
        return [piece for piece in self.all if isinstance(piece, str)]


async def ask(adapter: Adapter, message: str, state: Any = None) -> tuple[Answered, Heard]:
    heard = Heard()
    answered = await adapter.answer(Asked("c", message, state=json.loads(json.dumps(state))), heard)
    return answered, heard


def test_an_agent_is_recognised(make_agent: Any) -> None:
    names = {(c.__module__, c.__qualname__) for c in type(make_agent()).__mro__}
    assert names & FRAMEWORK.classes


async def test_the_state_goes_on_in_a_new_adapter_of_a_new_agent(
    make_agent: Any, adapt: Any
) -> None:
    first, _ = await ask(adapt(make_agent()), "hello")
    second, _ = await ask(adapt(make_agent()), "again", first.state)
    assert (first.text, second.text) == ("1: you said hello", "2: you said again")


async def test_pieces_join_to_the_text(make_agent: Any, adapt: Any) -> None:
    answered, heard = await ask(adapt(make_agent()), "hello")
    assert heard.text == ["1: ", "you said hello"]
    assert answered.text == "".join(heard.text)


async def test_a_tool_is_told_and_its_result_is_seen_in_the_next_turn(
    make_agent: Any, adapt: Any
) -> None:
    first, heard = await ask(adapt(make_agent()), "add 2 3")
    assert first.text == "1: the sum is 5"
    call, result = (one for one in heard.all if not isinstance(one, str))
    assert call == ToolCall(call.id, "add", {"a": 2, "b": 3})
    assert isinstance(result, ToolResult)
    assert (result.id, result.name, result.content) == (call.id, "add", "5")
    second, _ = await ask(adapt(make_agent()), "results", first.state)
    assert second.text == "2: 5"


async def test_conversations_on_one_agent_do_not_mix(make_agent: Any, adapt: Any) -> None:
    adapter = adapt(make_agent())
    one, _ = await ask(adapter, "one")
    other, _ = await ask(adapter, "other")
    one, _ = await ask(adapter, "one", one.state)
    assert (one.text, other.text) == ("2: you said one", "1: you said other")


async def test_two_at_once_hear_only_their_own(make_agent: Any, adapt: Any) -> None:
    adapter = adapt(make_agent())
    begun, _ = await ask(adapter, "begun")
    (one, heard), (other, others) = await asyncio.gather(
        ask(adapter, "one", begun.state), ask(adapter, "other")
    )
    assert one.text == "".join(heard.text) == "2: you said one"
    assert other.text == "".join(others.text) == "1: you said other"


async def test_a_run_ends_when_it_tells_more_than_can_be_taken(make_agent: Any) -> None:
    """I-15"""
    boundary = Boundary(Threads(1), max_reply_bytes=1_000, max_state_bytes=40)
    adapter = FRAMEWORK.adapt(make_agent(), boundary.in_thread)
    # The call of its tool alone is too long to be told.
    with pytest.raises(AgentFailed, match="progress is longer than 40 bytes"):
        await boundary.ask(adapter, Asked("c", "add 2 3"))


async def test_a_failure_comes_as_it_is_and_leaves_nothing_behind(
    make_agent: Any, adapt: Any
) -> None:
    adapter = adapt(make_agent())
    first, _ = await ask(adapter, "hello")
    with pytest.raises(RuntimeError, match="secret"):
        await ask(adapter, "fail", first.state)
    second, _ = await ask(adapter, "again", first.state)
    assert second.text == "2: you said again"


async def test_a_cancelled_run_has_stopped_and_leaves_nothing_behind(
    make_agent: Any, adapt: Any
) -> None:
    adapter, begun = adapt(make_agent()), asyncio.Event()
    loop = asyncio.get_running_loop()
    first, _ = await ask(adapter, "hello")

    def heard(piece: object) -> None:
        pieces.append(piece)
        loop.call_soon_threadsafe(begun.set)

    pieces: list[object] = []
    slow = asyncio.create_task(adapter.answer(Asked("c", "slow", state=first.state), heard))
    await begun.wait()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(slow, 5)
    assert pieces == ["2: "]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    second, _ = await ask(adapter, "again", first.state)
    assert second.text == "2: you said again"


async def test_nothing_is_printed(
    make_agent: Any, adapt: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    await ask(adapt(make_agent()), "add 2 3")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("said", ["true", None])
def test_telemetry_is_off_where_the_user_says_nothing(
    make_agent: Any, adapt: Any, monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    name = "CREWAI_TRACING_ENABLED"
    monkeypatch.setenv(name, said) if said else monkeypatch.delenv(name, raising=False)
    adapt(make_agent())
    assert os.environ[name] == (said or "false")
    assert os.environ["CREWAI_DISABLE_TELEMETRY"] == "true"


def test_an_agent_without_kickoff_is_refused(adapt: Any) -> None:
    with pytest.raises(Unsupported, match="kickoff"):
        adapt(object())


def test_crews_and_flows_are_refused_with_a_wrapper() -> None:
    for kind in (crewai.Crew, crewai.Flow):
        names = {(c.__module__, c.__qualname__) for c in kind.__mro__}
        (name,) = names & set(FRAMEWORK.refused)
        assert "async def agent" in FRAMEWORK.refused[name]
