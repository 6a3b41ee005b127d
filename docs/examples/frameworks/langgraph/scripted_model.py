"""A chat model that needs no network: it goes by the last message of the user."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable


class ScriptedModel(BaseChatModel):
    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, Any]:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("The scripted model is asynchronous: use ainvoke or astream")

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        said = [message for message in messages if isinstance(message, HumanMessage)]
        results = [message for message in messages if isinstance(message, ToolMessage)]
        u, last = len(said), messages[-1]
        words = str(said[-1].text).split() or [""]
        if any(result.text == "deleted fail.txt" for result in results):
            raise RuntimeError("secret")
        if isinstance(last, ToolMessage):
            yield say(f"{u}: ")
            yield say(f"the sum is {last.text}" if words[0] == "add" else outcome(last, words[1]))
        elif words[0] == "add":
            yield call("add", f'{{"a": {int(words[1])}, "b": {int(words[2])}}}')
        elif words[0] == "delete":
            yield call("delete_file", f'{{"path": "{words[1]}"}}')
        elif words == ["results"]:
            yield say(f"{u}: ")
            yield say(", ".join(str(result.text) for result in results) or "none")
        elif words == ["fail"]:
            raise RuntimeError("secret")
        elif words == ["slow"]:
            yield say(f"{u}: ")
            await asyncio.sleep(30)
            yield say("you said slow")
        elif words == ["look"]:
            yield say(f"{u}: ")
            images = [block for block in last.content_blocks if block["type"] == "image"]
            yield say(f"saw {len(images)} images")
        else:
            yield say(f"{u}: ")
            yield say(f"you said {said[-1].text}")
        usage = {
            "input_tokens": len(messages),
            "output_tokens": 1,
            "total_tokens": len(messages) + 1,
        }
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage))


def say(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


def call(name: str, arguments: str) -> ChatGenerationChunk:
    wanted = {"name": name, "args": arguments, "id": uuid4().hex, "index": 0}
    return ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[wanted]))


def outcome(result: ToolMessage, path: str) -> str:
    return f"kept {path}" if result.status == "error" else str(result.text)
