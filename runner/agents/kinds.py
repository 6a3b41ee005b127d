"""The two kinds of agent behind the one protocol: one for all conversations, or one for each."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from runner.agents.base import CURRENT, About, CurrentTurn, Emit, Message, unheard
from runner.agents.calling import Callee, Caller, as_callee
from runner.agents.threads import Outcome, given
from runner.callers import caller_of
from runner.fair_bound import FairBound
from strategies import AgentFailed

T = TypeVar("T")

MOST_KEPT = 1_000
"""Conversations whose agents are kept; a factory of heavy ones says less: `most_kept`.

Over it the caller with most of them loses the one used longest ago (see `fair_bound`).
"""

FIRST = "default"
"""The conversation for which a factory makes the agent that is tried out."""


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

    def try_out(self, history: Sequence[Message]) -> None:
        """Nothing is made for it."""


@dataclass(slots=True)
class AgentPerConversation:
    """Asks a factory, which takes some of GIVEN, for each conversation's agent, and keeps it."""

    about: About
    factory: Callable[..., Any]
    takes: frozenset[str]
    options: Mapping[str, object]
    caller: Caller
    kept: dict[str, Callee] = field(default_factory=dict[str, Callee])
    bound: FairBound[str] = field(init=False)
    first: list[Callee] = field(default_factory=list[Callee])
    """The agent that was tried out, until the first turn."""

    def __post_init__(self) -> None:
        most = getattr(self.factory, "most_kept", MOST_KEPT)
        self.bound = FairBound[str](most)

    async def answer(
        self, conversation: str, message: str, history: Sequence[Message], emit: Emit = unheard
    ) -> str:
        callee = self.kept.get(conversation) or self._first(conversation, history)
        callee = callee or await self._make(conversation, history)
        self._keep(conversation, callee)
        return await self.caller.ask(callee, message, history, emit)

    def _keep(self, conversation: str, callee: Callee) -> None:
        caller = caller_of(conversation)
        if conversation not in self.kept:
            self.bound.add(caller, conversation)
        self.kept[conversation] = callee
        self.bound.keep(caller, conversation)
        while (surplus := self.bound.surplus()) is not None:
            self.forget(surplus)

    def forget(self, conversation: str) -> None:
        if self.kept.pop(conversation, None) is not None:
            self.bound.remove(caller_of(conversation), conversation)

    def try_out(self, history: Sequence[Message]) -> None:
        """Make an agent as for a new conversation, before anything is served.

        To make one may take a minute, so it is kept for the first conversation, if it fits.
        One of an async factory does not: it may be bound to the loop in which it was made.
        Raises what the factory raises, and AgentFailed for what cannot be asked.
        """

        async def make() -> Callee:
            CURRENT.set(CurrentTurn("at-start", FIRST, attempt=1))
            return await self._make(FIRST, history)

        error = None
        try:
            self.first.append(_run_apart(make()))
        except AgentFailed as failed:
            error = failed.__cause__ or failed
        if error is not None:
            raise error
        if inspect.iscoroutinefunction(self.factory):
            self.first.clear()

    def _first(self, conversation: str, history: Sequence[Message]) -> Callee | None:
        """The agent that was tried out, for the first conversation that is new."""
        if not self.first:
            return None
        callee = self.first.pop()
        fits = "conversation_id" not in self.takes or conversation == FIRST
        return callee if fits and ("history" not in self.takes or not len(history)) else None

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


def _run_apart(work: Coroutine[Any, Any, T]) -> T:
    """What the coroutine gives, from a loop of its own; this thread may have one that runs.

    A Ctrl-C is heard meanwhile, and leaves it behind.
    """
    ended: SimpleQueue[Outcome] = SimpleQueue()

    def run() -> None:
        try:
            ended.put((asyncio.run(work), None))
        except BaseException as error:
            ended.put((None, error))

    threading.Thread(target=run, name="agent", daemon=True).start()
    made: T = given(ended.get())
    return made
