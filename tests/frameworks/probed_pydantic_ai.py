"""An agent of Pydantic AI that knows names; and functions of one's own around it, wrong ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from tests.loadtests.probe_agents import PAUSE_S, answer


async def respond(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    requests = [one for one in messages if isinstance(one, ModelRequest)]
    parts = [part for request in requests for part in request.parts]
    said = [str(part.content) for part in parts if isinstance(part, UserPromptPart)]
    await asyncio.sleep(PAUSE_S)
    yield answer(said)


agent = Agent(FunctionModel(stream_function=respond))


async def _reply(message: str, before: list[ModelMessage]) -> Any:
    async with agent.run_stream(message, message_history=before) as result:
        text = await result.get_output()
        return text, result.all_messages()


async def without_history(message: str) -> str:
    """What a wrapper does that was written for one question."""
    text, _ = await _reply(message, [])
    return str(text)


class KeepsMessages:
    """Reads `message_history`, thinks, and keeps what comes back."""

    def __init__(self) -> None:
        self.messages: list[ModelMessage] = []

    async def answer(self, message: str) -> str:
        text, self.messages = await _reply(message, self.messages)
        return str(text)
