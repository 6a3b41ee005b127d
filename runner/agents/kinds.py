"""The two kinds of agent behind the one protocol: one for all conversations, or one for each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from runner.agents.base import About, Emit, Message, unheard
from runner.agents.calling import Callee, Caller, as_callee
from strategies import AgentFailed

MOST_KEPT = 1_000
"""Agents of conversations that are kept; the one used longest ago goes first.

A class or factory whose agents weigh a lot says less with an attribute `most_kept`.
"""


class SharedAgent:
    """One callee for every conversation (or, if it has a history of its own, for one)."""

    def __init__(self, about: About, callee: Callee, caller: Caller) -> None:
        self.about = about
        self._callee = callee
        self._caller = caller

    async def answer(
        self, conversation: str, message: str, history: Sequence[Message], emit: Emit = unheard
    ) -> str:
        return await self._caller.ask(self._callee, message, history, emit)

    def forget(self, conversation: str) -> None:
        """What the callee remembers by itself, it alone could forget."""


class AgentPerConversation:
    """Asks a factory for an agent when a conversation first speaks, and keeps it."""

    def __init__(
        self,
        about: About,
        factory: Callable[..., Any],
        takes: frozenset[str],
        options: Mapping[str, object],
        caller: Caller,
    ) -> None:
        self.about = about
        self._factory = factory
        self._takes = takes
        self._options = options
        self._caller = caller
        self._most_kept: int = getattr(factory, "most_kept", MOST_KEPT)
        self._kept: OrderedDict[str, Callee] = OrderedDict()

    async def answer(
        self, conversation: str, message: str, history: Sequence[Message], emit: Emit = unheard
    ) -> str:
        callee = self._kept.get(conversation)
        if callee is None:
            callee = await self._make(conversation, history)
            self._kept[conversation] = callee
        self._kept.move_to_end(conversation)
        while len(self._kept) > self._most_kept:
            self._kept.popitem(last=False)
        return await self._caller.ask(callee, message, history, emit)

    def forget(self, conversation: str) -> None:
        self._kept.pop(conversation, None)

    async def _make(self, conversation: str, history: Sequence[Message]) -> Callee:
        given: dict[str, object] = {"conversation_id": conversation, "history": history}
        arguments = {name: value for name, value in given.items() if name in self._takes}
        if "history" in arguments:
            len(history)  # From now on it ends here, whenever the agent reads it.
        made = await self._caller.make(
            partial(self._factory, **arguments, **self._options), history
        )
        callee = as_callee(made)
        if callee is None:
            raise AgentFailed(
                f"The factory made {type(made).__name__}, which cannot be asked: it needs a "
                "method answer(message) or answer(message, history)."
            )
        return callee
