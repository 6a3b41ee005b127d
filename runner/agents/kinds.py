"""The two kinds of agent behind the one protocol: one for all conversations, or one for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from runner.agents.base import About, Emit, Message, unheard
from runner.agents.calling import Callee, Caller, as_callee
from runner.callers import caller_of
from runner.fair_bound import FairBound
from strategies import AgentFailed

MOST_KEPT = 1_000
"""Conversations whose agents are kept; a factory of heavy ones says less: `most_kept`.

Over it the caller with most of them loses the one used longest ago (see `fair_bound`).
"""


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
    kept: dict[str, Callee] = field(default_factory=dict[str, Callee])
    shares: FairBound[str] = field(init=False)

    def __post_init__(self) -> None:
        most = getattr(self.factory, "most_kept", MOST_KEPT)
        object.__setattr__(self, "shares", FairBound[str](most))  # As a frozen one is made.

    async def answer(
        self, conversation: str, message: str, history: Sequence[Message], emit: Emit = unheard
    ) -> str:
        callee = self.kept.get(conversation) or await self._make(conversation, history)
        self._keep(conversation, callee)
        return await self.caller.ask(callee, message, history, emit)

    def _keep(self, conversation: str, callee: Callee) -> None:
        caller = caller_of(conversation)
        if conversation not in self.kept:
            self.shares.count(caller, 1)
        self.kept[conversation] = callee
        self.shares.keep(caller, conversation)
        while (surplus := self.shares.surplus()) is not None:
            self.forget(surplus)

    def forget(self, conversation: str) -> None:
        if self.kept.pop(conversation, None) is not None:
            self.shares.drop(caller_of(conversation), conversation)
            self.shares.count(caller_of(conversation), -1)

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
