"""A model without a network: it follows the user's last message like a script."""

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from smolagents.models import (
    ChatMessage,
    ChatMessageStreamDelta,
    ChatMessageToolCallFunction,
    ChatMessageToolCallStreamDelta,
    MessageRole,
    Model,
    agglomerate_stream_deltas,
)
from smolagents.monitoring import TokenUsage

TASK, OBSERVATION = "New task:\n", "Observation:\n"


class ScriptedModel(Model):
    def generate(self, messages: list[ChatMessage], **options: Any) -> ChatMessage:
        return agglomerate_stream_deltas(list(self.generate_stream(messages, **options)))

    def generate_stream(
        self, messages: list[ChatMessage], **options: Any
    ) -> Iterator[ChatMessageStreamDelta]:
        asked = [
            text.removeprefix(TASK)
            for message in messages
            if message.role == MessageRole.USER and (text := text_of(message)).startswith(TASK)
        ]
        u, words, results = len(asked), asked[-1].split(), tool_results(messages)
        if messages[-1].role == MessageRole.TOOL_RESPONSE:
            yield from answer(f"{u}: ", f"the sum is {results[-1]}")
        elif words[:1] == ["add"]:
            yield from call("add", json.dumps({"a": int(words[1]), "b": int(words[2])}))
        elif words == ["results"]:
            yield from answer(f"{u}: ", ", ".join(results) or "none")
        elif words == ["fail"]:
            raise RuntimeError("secret")
        elif words == ["look"]:
            yield from answer(f"{u}: ", f"saw {images(messages)} images")
        elif words == ["slow"]:
            yield from call("final_answer", f'{{"answer": "{u}: ')
            for _ in range(600):
                time.sleep(0.05)
                yield ChatMessageStreamDelta()
            yield more('you said slow"}')
        else:
            yield from answer(f"{u}: ", f"you said {asked[-1]}")
        yield ChatMessageStreamDelta(token_usage=TokenUsage(10, 5))


def answer(*pieces: str) -> Iterator[ChatMessageStreamDelta]:
    """smolagents' models answer by calling this tool."""
    yield from call("final_answer", '{"answer": "')
    for piece in pieces:
        yield more(json.dumps(piece)[1:-1])
    yield more('"}')


def call(name: str, arguments: str) -> Iterator[ChatMessageStreamDelta]:
    """A call of a tool, or the beginning of one."""
    function = ChatMessageToolCallFunction(name=name, arguments="")
    yield ChatMessageStreamDelta(
        tool_calls=[ChatMessageToolCallStreamDelta(0, f"call-{name}", "function", function)]
    )
    yield more(arguments)


def more(arguments: str) -> ChatMessageStreamDelta:
    function = ChatMessageToolCallFunction(name="", arguments=arguments)
    return ChatMessageStreamDelta(tool_calls=[ChatMessageToolCallStreamDelta(0, function=function)])


def text_of(message: ChatMessage) -> str:
    return "".join(part.get("text", "") for part in message.content or () if part)


def tool_results(messages: list[ChatMessage]) -> list[str]:
    """What the tools gave; to smolagents, answers are results too."""
    return [
        text_of(result).removeprefix(OBSERVATION)
        for called, result in pairwise(messages)
        if result.role == MessageRole.TOOL_RESPONSE and "'final_answer'" not in text_of(called)
    ]


def images(messages: list[ChatMessage]) -> int:
    """How many came with the user's messages; smolagents repeats them after each step."""
    return sum(
        part["type"] == "image"
        for message in messages
        if text_of(message).startswith(TASK)
        for part in message.content or ()
    )
