"""An agent, asked without a server."""

from __future__ import annotations

from collections.abc import Sequence

from runner.agents.base import Agent, Asked, Hear, Message, unheard


async def ask(
    agent: Agent,
    conversation: str,
    message: str,
    history: Sequence[Message] = (),
    hear: Hear = unheard,
) -> str:
    """The text of its reply."""
    return (await agent.answer(Asked(conversation, message, history), hear)).text
