"""A model that needs no network: what it says depends on the user's last message alone."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from strands.models import Model


class ScriptedModel(Model):
    def get_config(self) -> dict[str, Any]:
        return {}

    def update_config(self, **model_config: Any) -> None:
        pass

    def structured_output(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def stream(self, messages: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        yield {"messageStart": {"role": "assistant"}}
        stop_reason = "end_turn"
        for step in script(messages):
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, str):
                yield {"contentBlockDelta": {"delta": {"text": step}}}
            else:
                name, arguments = step
                call = {"name": name, "toolUseId": f"call-{len(messages)}"}
                yield {"contentBlockStart": {"start": {"toolUse": call}}}
                delta = {"toolUse": {"input": json.dumps(arguments)}}
                yield {"contentBlockDelta": {"delta": delta}}
                stop_reason = "tool_use"
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": stop_reason}}
        yield {"metadata": {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}}}


def script(messages: Any) -> Iterator[str | float | tuple[str, dict[str, Any]]]:
    """The steps of a reply: pieces of text, seconds to wait, tools to call."""
    asked = [message for message in messages if "toolResult" not in message["content"][0]]
    asked = [message for message in asked if message["role"] == "user"]
    said = "".join(block.get("text", "") for block in asked[-1]["content"])
    images = sum("image" in block for block in asked[-1]["content"])
    results = [
        block["toolResult"]["content"][0]["text"]
        for message in messages
        for block in message["content"]
        if "toolResult" in block
    ]
    count, has_result = f"{len(asked)}: ", messages[-1] is not asked[-1]
    if "deleted fail.txt" in results:
        raise RuntimeError("secret")
    match said.split():
        case ["add", *_] if has_result:
            yield from (count, f"the sum is {results[-1]}")
        case ["delete", *_] if has_result:
            yield from (count, results[-1])
        case ["add", a, b]:
            yield "add", {"a": int(a), "b": int(b)}
        case ["delete", path]:
            yield "delete_file", {"path": path}
        case ["results"]:
            yield from (count, ", ".join(results) or "none")
        case ["look"]:
            yield from (count, f"saw {images} images")
        case ["fail"]:
            raise RuntimeError("secret")
        case ["slow"]:
            yield from (count, 30.0, "that took a while")
        case _:
            yield from (count, f"you said {said}")
