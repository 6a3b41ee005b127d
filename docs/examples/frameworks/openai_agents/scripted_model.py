"""A model for trials: no network, no key. What it does is told by the user's last message."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from agents import Model, ModelResponse, Usage
from agents.testing import assistant_message, function_call
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseTextDeltaEvent,
    ResponseUsage,
)


class ScriptedModel(Model):
    async def stream_response(
        self, system_instructions: Any, input: Any, *settings: Any, **more: Any
    ) -> AsyncIterator[Any]:
        said, calls = "", []
        async for piece in respond(input):
            if isinstance(piece, str):
                said += piece
                yield text_delta(piece)
            else:
                calls.append(piece)
        yield completed([assistant_message(said)] if said else calls)

    async def get_response(
        self, system_instructions: Any, input: Any, *settings: Any, **more: Any
    ) -> ModelResponse:
        events = [event async for event in self.stream_response(system_instructions, input)]
        return ModelResponse(events[-1].response.output, Usage(), response_id=None)


async def respond(items: list[Any]) -> AsyncIterator[Any]:
    """Speaks in pieces, or calls a tool. `u` counts the user's messages that it sees."""
    asked = [item["content"] for item in items if item.get("role") == "user"]
    results = [item["output"] for item in items if item.get("type") == "function_call_output"]
    u, last = len(asked), asked[-1]
    text = last if isinstance(last, str) else last[0]["text"]
    after_tool = items[-1].get("type") == "function_call_output"
    if "deleted fail.txt" in results:
        raise RuntimeError("secret")
    match text.split():
        case ["add", a, b] if not after_tool:
            yield call("add", {"a": int(a), "b": int(b)})
        case ["add", _, _]:
            yield f"{u}: "
            yield f"the sum is {results[-1]}"
        case ["delete", path] if not after_tool:
            yield call("delete_file", {"path": path})
        case ["delete", path]:
            yield f"{u}: "
            yield f"deleted {path}" if results[-1] == f"deleted {path}" else f"kept {path}"
        case ["results"]:
            yield f"{u}: "
            yield ", ".join(results) or "none"
        case ["look"]:
            yield f"{u}: "
            yield f"saw {sum(part['type'] == 'input_image' for part in last)} images"
        case ["fail"]:
            raise RuntimeError("secret")
        case ["slow"]:
            yield f"{u}: "
            await asyncio.sleep(30)
            yield "you said slow"
        case _:
            yield f"{u}: "
            yield f"you said {text}"


def call(name: str, arguments: dict[str, Any]) -> Any:
    return function_call(name, arguments, call_id=uuid4().hex)


def text_delta(piece: str) -> ResponseTextDeltaEvent:
    return ResponseTextDeltaEvent(
        type="response.output_text.delta",
        delta=piece,
        item_id="message",
        content_index=0,
        output_index=0,
        sequence_number=0,
        logprobs=[],
    )


def completed(output: list[Any]) -> ResponseCompletedEvent:
    response = Response(
        id=uuid4().hex,
        object="response",
        model="scripted",
        created_at=0,
        output=output,
        parallel_tool_calls=False,
        tool_choice="auto",
        tools=[],
        usage=ResponseUsage.model_construct(input_tokens=10, output_tokens=1, total_tokens=11),
    )
    return ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)
