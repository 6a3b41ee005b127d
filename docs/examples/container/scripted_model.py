"""A model that needs no network: what it says depends on the customer's last message alone."""

import json
import re
from collections.abc import AsyncIterator
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
        reply = script(messages)
        yield {"messageStart": {"role": "assistant"}}
        if isinstance(reply, str):
            for word in re.findall(r"\S+\s*", reply):
                yield {"contentBlockDelta": {"delta": {"text": word}}}
        else:
            name, arguments = reply
            call = {"name": name, "toolUseId": f"call-{len(messages)}"}
            delta = {"toolUse": {"input": json.dumps(arguments)}}
            yield {"contentBlockStart": {"start": {"toolUse": call}}}
            yield {"contentBlockDelta": {"delta": delta}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn" if isinstance(reply, str) else "tool_use"}}


def script(messages: Any) -> str | tuple[str, dict[str, Any]]:
    """A reply, or a tool to call with its arguments."""
    block = messages[-1]["content"][0]
    if "toolResult" in block:
        return f"Well: {block['toolResult']['content'][0]['text']}."
    match block["text"].split():
        case ["price", item]:
            return "price", {"item": item}
        case ["add", quantity, item] if quantity.isdecimal():
            return "add_to_basket", {"item": item, "quantity": int(quantity)}
        case ["order"]:
            return "place_order", {}
    asked = [message for message in messages if "text" in message["content"][0]]
    count = sum(message["role"] == "user" for message in asked)
    return f"This is your message {count}. Say: price tea, add 2 tea, or order."
