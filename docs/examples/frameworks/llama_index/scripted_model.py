"""A model without a network: it follows the user's last message like a script."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage, ChatResponse, ImageBlock, MockFunctionCallingLLM


class ScriptedModel(MockFunctionCallingLLM):
    async def achat(self, messages: Sequence[ChatMessage], **options: Any) -> ChatResponse:
        return [response async for response in script(messages)][-1]

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **options: Any
    ) -> AsyncIterator[ChatResponse]:
        return script(messages)


async def script(messages: Sequence[ChatMessage]) -> AsyncIterator[ChatResponse]:
    asked = [message for message in messages if message.role == "user"]
    results = [message.content or "" for message in messages if message.role == "tool"]
    u, text = len(asked), asked[-1].content or ""
    words = text.split()
    pieces = [f"{u}: ", f"you said {text}"]
    if messages[-1].role == "tool":
        pieces[1] = f"the sum is {results[-1]}"
    elif words[:1] == ["add"]:
        numbers = {"a": int(words[1]), "b": int(words[2])}
        call = ToolCallBlock(tool_call_id=f"call-{u}", tool_name="add", tool_kwargs=numbers)
        yield ChatResponse(message=ChatMessage(role="assistant", blocks=[call]))
        return
    elif words == ["results"]:
        pieces[1] = ", ".join(results) or "none"
    elif words == ["fail"]:
        raise RuntimeError("secret")
    elif words == ["look"]:
        images = [block for message in asked for block in message.blocks if is_image(block)]
        pieces[1] = f"saw {len(images)} images"
    yield saying(pieces[0], pieces[0])
    if words == ["slow"]:
        await asyncio.sleep(30)
    yield saying("".join(pieces), pieces[1])


def saying(said: str, piece: str) -> ChatResponse:
    """A piece of text, with all that was said by then."""
    return ChatResponse(message=ChatMessage(role="assistant", content=said), delta=piece)


def is_image(block: object) -> bool:
    return isinstance(block, ImageBlock)
