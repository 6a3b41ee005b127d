"""A chat program of OpenAI's client: it sends all that was said, and knows of no conversation."""

from __future__ import annotations

import json
from typing import Any

from tests.support.server import Server


class ChatProgram:
    """One chat; `said` is all that is shown in its window."""

    def __init__(self, client: Any, said: list[Any] | None = None) -> None:
        self.client = client
        self.said: list[Any] = said or []
        self.last: dict[str, Any] = {}

    def ask(self, text: Any, **more: Any) -> str:
        """The reply, which is shown together with what was asked."""
        messages = [*self.said, {"role": "user", "content": text}]
        answer = self.client.chat.completions.create(model="agent", messages=messages, **more)
        self.last = answer.model_dump()
        reply = str(answer.choices[0].message.content)
        self.said = [*messages, {"role": "assistant", "content": reply}]
        return reply

    def before(self, text: str, **more: Any) -> int:
        """How many messages the agent saw before this one."""
        return int(json.loads(self.ask(text, **more))["before"])

    @property
    def found(self) -> str:
        return str(self.last["turnline"]["found"])

    @property
    def conversation(self) -> str:
        return str(self.last["turnline"]["conversation_id"])


def client_of(server: Server, openai: Any, token: str = "none", **more: Any) -> Any:
    more.setdefault("max_retries", 0)
    return openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key=token, **more)
