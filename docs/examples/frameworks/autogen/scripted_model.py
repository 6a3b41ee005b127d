"""A model without a network: it follows the user's last message like a script."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelCapabilities,
    ModelInfo,
    RequestUsage,
    UserMessage,
)


class ScriptedModel(ChatCompletionClient):
    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        *_, result = [piece async for piece in self.create_stream(messages, **options)]
        return result

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncIterator[str | CreateResult]:
        asked = [message for message in messages if isinstance(message, UserMessage)]
        results = [
            result.content
            for message in messages
            if isinstance(message, FunctionExecutionResultMessage)
            for result in message.content
        ]
        u, text = len(asked), text_of(asked[-1])
        words = text.split()
        pieces = [f"{u}: ", f"you said {text}"]
        if isinstance(messages[-1], FunctionExecutionResultMessage):
            pieces[1] = f"the sum is {results[-1]}"
        elif words[:1] == ["add"]:
            numbers = json.dumps({"a": int(words[1]), "b": int(words[2])})
            yield result_of([FunctionCall(f"call-{u}", numbers, "add")], "function_calls")
            return
        elif words == ["results"]:
            pieces[1] = ", ".join(results) or "none"
        elif words == ["fail"]:
            raise RuntimeError("secret")
        elif words == ["look"]:
            pieces[1] = f"saw {sum(images_in(message) for message in asked)} images"
        yield pieces[0]
        if words == ["slow"]:
            await asyncio.sleep(30)
        yield pieces[1]
        yield result_of("".join(pieces), "stop")

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=True,
            function_calling=True,
            json_output=False,
            family="unknown",
            structured_output=False,
        )

    @property
    def capabilities(self) -> ModelCapabilities:
        return ModelCapabilities(vision=True, function_calling=True, json_output=False)

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def count_tokens(self, messages: Sequence[LLMMessage], **options: Any) -> int:
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], **options: Any) -> int:
        return 1_000_000

    async def close(self) -> None:
        pass


def result_of(content: str | list[FunctionCall], reason: Any) -> CreateResult:
    usage = RequestUsage(prompt_tokens=10, completion_tokens=5)
    return CreateResult(finish_reason=reason, content=content, usage=usage, cached=False)


def text_of(message: UserMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return " ".join(part for part in message.content if isinstance(part, str))


def images_in(message: UserMessage) -> int:
    return sum(isinstance(part, Image) for part in message.content)
