"""The two kinds of agent behind the one protocol: one for all conversations, or one for each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from runner.agents.base import About, Emit, Message, unheard
from runner.agents.calling import Callee, Caller, as_callee
from strategies import AgentFailed

MOST_KEPT = 1_000
"""Conversations whose agents are kept; a factory of heavy ones says less: `most_kept`."""


@dataclass(frozen=True, slots=True)
class SharedAgent:
    """One callee for every conversation (or, if it has a history of its own, for one)."""

    about: About
    callee: Callee
    caller: Caller

    async def answer(
        self, conversation: str, message: str, history: Sequence[Message], emit: Emit = unheard
    ) -> str:
        return await self.caller.ask(self.callee, message, history, emit)

    def forget(self, conversation: str) -> None:
        """What the callee remembers by itself, it alone could forget."""


@dataclass(frozen=True, slots=True)
class AgentPerConversation:
    """Asks a factory, which takes some of GIVEN, for each conversation's agent, and keeps it."""

    about: About
    factory: Callable[..., Any]
    takes: frozenset[str]
    options: Mapping[str, object]
    caller: Caller
    kept: OrderedDict[str, Callee] = field(default_factory=OrderedDict[str, Callee])

    async def answer(
        self, conversation: str, message: str, history: Sequence[Message], emit: Emit = unheard
    ) -> str:
        callee = self.kept.get(conversation) or await self._make(conversation, history)
        self.kept[conversation] = callee
        self.kept.move_to_end(conversation)
        while len(self.kept) > getattr(self.factory, "most_kept", MOST_KEPT):
            self.kept.popitem(last=False)
        return await self.caller.ask(callee, message, history, emit)

    def forget(self, conversation: str) -> None:
        self.kept.pop(conversation, None)

    async def _make(self, conversation: str, history: Sequence[Message]) -> Callee:
        given: dict[str, object] = {"conversation_id": conversation, "history": history}
        arguments = {name: given[name] for name in self.takes}
        if "history" in arguments:
            len(history)  # From now on it ends here, whenever the agent reads it.
        made = await self.caller.make(partial(self.factory, **arguments, **self.options), history)
        if callee := as_callee(made):
            return callee
        raise AgentFailed(
            f"The factory made {type(made).__name__}, which cannot be asked: it needs a "
            "method answer(message) or answer(message, history)."
        )
