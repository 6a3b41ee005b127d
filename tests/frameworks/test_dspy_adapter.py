# mypy: disallow-subclassing-any=False
import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from runner.agents.base import Answered, Asked, Reasoning, ToolCall, ToolResult, Usage
from runner.agents.frameworks.dspy import FRAMEWORK
from runner.agents.frameworks.framework import Adapter, Unsupported
from runner.agents.threads import Threads
from tests.frameworks.examples import load_example

dspy: Any = pytest.importorskip("dspy", reason="DSPy is not installed")


@pytest.fixture(scope="module")
def example() -> Any:
    return load_example("dspy")


@pytest.fixture
def adapt() -> Callable[[Any], Adapter]:
    threads = Threads(2)
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


def respond(text: str) -> Any:
    lm15 = dspy.lm15
    message = lm15.Message.assistant(text)
    return lm15.Response(
        id=None, model="m", message=message, finish_reason="stop", usage=lm15.Usage()
    )


def test_a_module_is_recognised(example: Any) -> None:
    names = {(c.__module__, c.__qualname__) for c in type(example.agent).__mro__}
    assert names & FRAMEWORK.classes


async def test_the_state_goes_on_in_a_new_adapter(example: Any, adapt: Any) -> None:
    first, _ = await ask(adapt(example.agent), "hello")
    second, _ = await ask(adapt(example.agent), "again", first.state)
    assert (first.text, second.text) == ("1: you said hello", "2: you said again")


async def test_pieces_join_to_the_text_and_reasoning_is_none_of_it(
    example: Any, adapt: Any
) -> None:
    answered, heard = await ask(adapt(example.agent), "hello")
    assert len(heard.text) > 1
    assert "".join(heard.text) == answered.text
    assert Reasoning("It is so.") in heard.all
    assert heard.all[-1] == Usage(40, 20)


async def test_a_tool_is_told_and_only_the_reply_is_seen_in_the_next_turn(
    example: Any, adapt: Any
) -> None:
    first, heard = await ask(adapt(example.agent), "add 2 3")
    assert first.text == "1: the sum is 5"
    call, result = (one for one in heard.all if isinstance(one, ToolCall | ToolResult))
    assert call == ToolCall(call.id, "add", {"a": 2, "b": 3})
    assert result == ToolResult(call.id, "add", 5)
    second, _ = await ask(adapt(example.agent), "results", first.state)
    assert second.text == "2: none"


async def test_conversations_on_one_module_do_not_mix(example: Any, adapt: Any) -> None:
    adapter = adapt(example.agent)
    begun, _ = await ask(adapter, "begun")
    (one, heard), (other, others) = await asyncio.gather(
        ask(adapter, "one", begun.state), ask(adapter, "other")
    )
    assert one.text == "".join(heard.text) == "2: you said one"
    assert other.text == "".join(others.text) == "1: you said other"


async def test_a_failure_leaves_nothing_behind(example: Any, adapt: Any) -> None:
    adapter = adapt(example.agent)
    first, _ = await ask(adapter, "hello")
    with pytest.raises(dspy.LMError) as failure:
        await ask(adapter, "fail", first.state)
    assert isinstance(failure.value.__cause__, RuntimeError)
    second, _ = await ask(adapter, "again", first.state)
    assert second.text == "2: you said again"


async def test_a_cancelled_call_leaves_nothing_behind(example: Any, adapt: Any) -> None:
    adapter, begun = adapt(example.agent), asyncio.Event()
    first, _ = await ask(adapter, "hello")
    slow = asyncio.create_task(
        adapter.answer(
            Asked("c", "slow", state=first.state),
            lambda piece: begun.set() if piece == "2:" else None,
        )
    )
    await begun.wait()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(slow, 5)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    second, _ = await ask(adapter, "again", first.state)
    assert second.text == "2: you said again"


async def test_the_module_keeps_no_record_of_what_was_said(example: Any, adapt: Any) -> None:
    await ask(adapt(example.agent), "hello")
    assert [one.history for one in (example.agent, example.agent.react, example.lm)] == [[]] * 3


async def test_a_module_of_the_users_own_answers_whole(example: Any, adapt: Any) -> None:
    class Loud(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = dspy.Predict(example.Assistant)

        async def aforward(self, question: str, history: dspy.History) -> Any:
            said = await self.inner.acall(question=question, history=history)
            return dspy.Prediction(answer=said.answer.upper())

    adapter = adapt(Loud())
    first, heard = await ask(adapter, "hello")
    second, _ = await ask(adapter, "again", first.state)
    assert (first.text, heard.text) == ("1: YOU SAID HELLO", [])
    assert second.text == "2: YOU SAID AGAIN"


async def test_a_module_without_aforward_runs_in_a_thread(example: Any, adapt: Any) -> None:
    class Plain(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = dspy.Predict(example.Assistant)

        def forward(self, question, history):  # type: ignore[no-untyped-def]
            return self.inner(question=question, history=history).answer

    first, _ = await ask(adapt(Plain()), "hello")
    assert first.text == "1: you said hello"
    assert first.state == [{"question": "hello", "answer": "1: you said hello"}]


async def test_other_outputs_are_given_as_json(adapt: Any) -> None:
    class Place(BaseModel):
        city: str

    class Guide(dspy.Module):
        async def aforward(self, question: str) -> Any:
            return dspy.Prediction(answer="Go there.", place=Place(city="Rome"))

    class Finder(dspy.Module):
        async def aforward(self, question: str) -> Any:
            return dspy.Prediction(place=Place(city="Rome"))

    guided, _ = await ask(adapt(Guide()), "where?")
    found, _ = await ask(adapt(Finder()), "where?")
    assert guided == Answered(
        "Go there.", output={"answer": "Go there.", "place": {"city": "Rome"}}
    )
    assert found == Answered('{"city": "Rome"}', output={"city": "Rome"})


async def test_text_that_looks_like_a_field_is_streamed_too(adapt: Any) -> None:
    class Shell:
        said = "use\n[[ -f x ]] and [[ ## y ## ]]\n[ z ]\n\n  [[ ## there"
        text = f"[[ ## answer ## ]]\n\n{said} \n\n[[ ## completed ## ]]"

        async def complete(self, request: Any) -> Any:
            return respond(self.text)

        async def stream(self, request: Any) -> Any:
            start, delta, end = dspy.lm15.response_to_events(await self.complete(request))
            yield start
            for piece in self.text:
                yield type(delta)(type(delta.delta)(piece))
            yield end

    class Sync:
        def complete(self, request: Any) -> Any: ...

    module = dspy.Predict("question -> answer")
    module.lm = dspy.LM("m", engine=Sync(), async_engine=Shell(), cache=False)
    answered, heard = await ask(adapt(module), "how?")
    assert answered.text == "".join(heard.text) == Shell.said


async def test_a_react_v2_remembers_its_tools_results(adapt: Any) -> None:
    seen: list[str] = []

    class Caller:
        async def complete(self, request: Any) -> Any:
            seen.append("\n".join(message.text or "" for message in request.messages))
            call = {"name": "add", "args": {"a": 2, "b": 3}}
            if "tool_call_results" in seen[-1]:
                call = {"name": "submit", "args": {"answer": "done"}}
            text = (
                "[[ ## next_thought ## ]]\nhm\n\n[[ ## tool_calls ## ]]\n"
                + json.dumps({"tool_calls": [call]})
                + "\n\n[[ ## completed ## ]]"
            )
            return respond(text)

    class Sync:
        def complete(self, request: Any) -> Any: ...

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    def agent() -> Any:
        module = dspy.ReActV2("question -> answer", tools=[add])
        module.react.lm = dspy.LM("m", engine=Sync(), async_engine=Caller(), cache=False)
        return module

    first, heard = await ask(adapt(agent()), "add")
    assert first.text == "done"
    assert [one.name for one in heard.all if isinstance(one, ToolCall)] == ["add"]
    seen.clear()
    second, _ = await ask(adapt(agent()), "again", first.state)
    assert second.text == "done"
    assert '"name": "add", "value": 5' in seen[0]


@pytest.mark.parametrize(
    ("signature", "names"),
    [("question, context -> answer", "question, context"), ("number: int -> answer", "number")],
)
def test_a_module_that_takes_more_than_a_text_is_refused_with_a_wrapper(
    adapt: Any, signature: str, names: str
) -> None:
    with pytest.raises(Unsupported, match=f"takes {names}, and not one text(.|\n)*class Agent"):
        adapt(dspy.Predict(signature))


async def test_a_module_without_a_history_has_no_state(adapt: Any) -> None:
    class Echo(dspy.Module):
        async def aforward(self, question: str) -> str:
            return question

    answered, _ = await ask(adapt(Echo()), "hello")
    assert answered == Answered("hello")
