"""A program of OpenAI's client that uses responses, and sends all that was said and no id."""

from __future__ import annotations

import json
from typing import Any


class ResponseProgram:
    """One chat; `said` are all its items, as they were sent and came back."""

    def __init__(self, client: Any, said: list[Any] | None = None) -> None:
        self.client = client
        self.said: list[Any] = said or []
        self.found = ""
        self.last: Any = None

    def ask(self, content: str | list[Any], **more: Any) -> str:
        """The reply, which goes into `said` together with what was asked."""
        new: list[Any] = [{"role": "user", "content": content}]
        sent = [*self.said, *(content if isinstance(content, list) else new)]
        raw = self.client.responses.with_raw_response.create(model="agent", input=sent, **more)
        self.found, self.last = raw.headers["conversation-found"], raw.parse()
        self.said = [*sent, *self._kept()]
        return str(self.last.output_text)

    def before(self, text: str, **more: Any) -> int:
        """How many messages the agent saw before this one."""
        return int(json.loads(self.ask(text, **more))["before"])

    @property
    def conversation(self) -> str:
        return str(self.last.conversation.id)

    def _kept(self) -> list[Any]:
        return [item.to_dict() for item in self.last.output]


class TextProgram(ResponseProgram):
    """It keeps of a reply the text alone."""

    def _kept(self) -> list[Any]:
        return [{"role": "assistant", "content": self.last.output_text}]


class ReferringProgram(ResponseProgram):
    """It keeps of a reply the ids of its items, as the AI SDK does."""

    def _kept(self) -> list[Any]:
        return [{"type": "item_reference", "id": item.id} for item in self.last.output]
