"""A chat client that needs no network: it goes by the last message of the user."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from agent_framework import (
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
)


class ScriptedModel(FunctionInvocationLayer, BaseChatClient):
    """Counts the user's messages that it sees, and calls the tools that they ask for."""

    def _inner_get_response(
        self,
        *,
        messages: Sequence[Message],
        stream: bool,
        options: Mapping[str, Any],
        **kwargs: Any,
    ) -> Awaitable[ChatResponse] | ResponseStream[ChatResponseUpdate, ChatResponse]:
        updates = self._build_response_stream(answer(messages))
        return updates if stream else updates.get_final_response()


async def answer(messages: Sequence[Message]) -> AsyncIterator[ChatResponseUpdate]:
    asked = [message for message in messages if message.role == "user" and message.contents]
    words = asked[-1].text.split()
    count = f"{len(asked)}: "
    news = results(messages[messages.index(asked[-1]) :])
    if "deleted fail.txt" in news:
        raise RuntimeError("secret")
    match words:
        case ["add", _, _] if news:
            yield says(count, f"the sum is {news[-1]}")
        case ["add", a, b]:
            yield calls("add", a=int(a), b=int(b))
        case ["delete", path] if news:
            yield says(count, news[-1] if news[-1].startswith("deleted") else f"kept {path}")
        case ["delete", path]:
            yield calls("delete_file", path=path)
        case ["results"]:
            yield says(count, ", ".join(results(messages)) or "none")
        case ["fail"]:
            raise RuntimeError("secret")
        case ["slow"]:
            yield says(count)
            await asyncio.sleep(30)
            yield says("you waited")
        case ["look"]:
            kinds = [one.media_type or "" for one in asked[-1].contents]
            images = sum(kind.startswith("image/") for kind in kinds)
            yield says(count, f"saw {images} images")
        case _:
            yield says(count)
            yield says(f"you said {asked[-1].text}")
    usage = Content.from_usage({"input_token_count": len(messages), "output_token_count": 1})
    yield ChatResponseUpdate(role="assistant", contents=[usage])


def results(messages: Sequence[Message]) -> list[str]:
    return [
        str(one.result)
        for message in messages
        for one in message.contents
        if one.type == "function_result"
    ]


def says(*pieces: str) -> ChatResponseUpdate:
    return ChatResponseUpdate(role="assistant", contents=[Content.from_text(p) for p in pieces])


def calls(name: str, **arguments: Any) -> ChatResponseUpdate:
    call = Content.from_function_call(uuid4().hex, name, arguments=json.dumps(arguments))
    return ChatResponseUpdate(role="assistant", contents=[call])
