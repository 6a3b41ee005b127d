"""A model without network: what it says is written here, by the last thing that the user said."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from dspy.lm15 import (
    Message,
    Request,
    Response,
    StreamDeltaEvent,
    StreamEndEvent,
    StreamStartEvent,
    TextDelta,
    Usage,
)


class ScriptedModel:
    """An engine: `dspy.LM("scripted", engine=model, async_engine=model.for_async, cache=False)`."""

    def __init__(self) -> None:
        self.for_async = ForAsync()

    def complete(self, request: Request) -> Response:
        return respond("".join(say(request)))

    def stream(self, request: Request) -> Iterator[Any]:
        yield StreamStartEvent()
        for piece in say(request):
            yield StreamDeltaEvent(TextDelta(piece))
        yield StreamEndEvent("stop", USAGE)

    def close(self) -> None: ...


class ForAsync:
    async def complete(self, request: Request) -> Response:
        return respond("".join([piece async for piece in say_slowly(request)]))

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        yield StreamStartEvent()
        async for piece in say_slowly(request):
            yield StreamDeltaEvent(TextDelta(piece))
        yield StreamEndEvent("stop", USAGE)

    async def aclose(self) -> None: ...


USAGE = Usage(input_tokens=20, output_tokens=10)


def respond(text: str) -> Response:
    return Response(
        id=None,
        model="scripted",
        message=Message.assistant(text),
        finish_reason="stop",
        usage=USAGE,
    )


def asked(request: Request) -> list[str]:
    """What the user said in this conversation, as DSPy writes it down."""
    field = re.compile(r"\[\[ ## question ## \]\]\n(.*)")
    texts = [message.text or "" for message in request.messages if message.role == "user"]
    return [found[1] for text in texts if (found := field.search(text))]


def question(request: Request) -> str:
    return asked(request)[-1]


def say(request: Request) -> list[str]:
    """The fields that the module wants next, in the form that DSPy's ChatAdapter reads."""
    prompt, system = request.messages[-1].text or "", str(request.system)
    results = re.findall(r"\[\[ ## observation_\d+ ## \]\]\n(.*)", prompt)
    results = [result for result in results if result != "Completed."]
    message, count = question(request), len(asked(request))
    if message == "fail":
        raise RuntimeError("secret")
    if "next_tool_name" in system:
        return [act(message, results)]
    match message.split():
        case ["add", _, _]:
            pieces = [f"{count}: ", f"the sum is {', '.join(results)}"]
        case ["results"]:
            pieces = [f"{count}: ", ", ".join(results) or "none"]
        case _:
            pieces = [f"{count}: ", f"you said {message}"]
    reasoning = ["[[ ## reasoning ## ]]\n", "It is so.", "\n\n"] if "reasoning" in system else []
    return [*reasoning, "[[ ## answer ## ]]\n", *pieces, "\n\n[[ ## completed ## ]]"]


async def say_slowly(request: Request) -> AsyncIterator[str]:
    for piece in say(request):
        if piece == "you said slow":
            await asyncio.sleep(30)
        yield piece


def act(message: str, results: list[str]) -> str:
    """What ReAct asks for: a tool, or its own `finish`."""
    tool, arguments = "finish", {}
    match message.split():
        case ["add", a, b] if not results:
            tool, arguments = "add", {"a": int(a), "b": int(b)}
    fields = {
        "next_thought": "Let me see.",
        "next_tool_name": tool,
        "next_tool_args": json.dumps(arguments),
        "completed": "",
    }
    return "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in fields.items())
