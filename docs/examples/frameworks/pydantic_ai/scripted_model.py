"""A model for trials: no network, no key. What it does is told by the user's last message."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai.messages import ImageUrl, ModelMessage, ModelRequest
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel


class ScriptedModel(FunctionModel):
    def __init__(self) -> None:
        super().__init__(stream_function=respond)


async def respond(
    messages: list[ModelMessage], info: AgentInfo
) -> AsyncIterator[str | DeltaToolCalls]:
    """Speaks in pieces, or calls a tool. `u` counts the user's messages that it sees."""
    asked = [part.content for part in parts(messages) if part.part_kind == "user-prompt"]
    returned = [part for part in parts(messages) if part.part_kind == "tool-return"]
    results = [part.model_response_str() for part in returned]
    u, last = len(asked), asked[-1]
    text = last if isinstance(last, str) else next(one for one in last if isinstance(one, str))
    after_tool = any(part in returned for part in messages[-1].parts)
    if "deleted fail.txt" in results:
        raise RuntimeError("secret")
    match text.split():
        case ["add", a, b] if not after_tool:
            yield call("add", f'{{"a": {a}, "b": {b}}}')
        case ["add", _, _]:
            yield f"{u}: "
            yield f"the sum is {results[-1]}"
        case ["delete", path] if not after_tool:
            yield call("delete_file", f'{{"path": "{path}"}}')
        case ["delete", path]:
            yield f"{u}: "
            yield results[-1] if returned[-1].outcome == "success" else f"kept {path}"
        case ["results"]:
            yield f"{u}: "
            yield ", ".join(results) or "none"
        case ["look"]:
            yield f"{u}: "
            yield f"saw {sum(is_image(one) for one in last)} images"
        case ["fail"]:
            raise RuntimeError("secret")
        case ["slow"]:
            yield f"{u}: "
            await asyncio.sleep(30)
            yield "you said slow"
        case _:
            yield f"{u}: "
            yield f"you said {text}"


def parts(messages: list[ModelMessage]) -> list[Any]:
    requests = [message for message in messages if isinstance(message, ModelRequest)]
    return [part for request in requests for part in request.parts]


def call(name: str, arguments: str) -> DeltaToolCalls:
    return {0: DeltaToolCall(name, arguments)}


def is_image(content: Any) -> bool:
    return isinstance(content, ImageUrl) or getattr(content, "is_image", False)
