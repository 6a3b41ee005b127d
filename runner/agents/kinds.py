"""The two kinds of agent behind the one protocol: one for all conversations, or one for each."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import structlog

from runner.agents.base import CURRENT, About, Asked, CurrentTurn, Hear, Message, Said, unheard
from runner.agents.boundary import Boundary
from runner.agents.callee import Callee, as_callee
from runner.agents.frameworks.framework import Unsupported
from runner.agents.one_at_a_time import OneAtATime
from runner.agents.threads import Outcome, given
from runner.callers import caller_of
from runner.fair_bound import FairBound
from strategies import AgentFailed

T = TypeVar("T")

MOST_KEPT = 1_000
"""Conversations whose agents are kept; a factory of heavy ones says less: `most_kept`.

Over it the caller with most of them loses the one used longest ago (see `fair_bound`).
"""

OWN_MEMORY = (
    "What it remembers is in the object alone: a restart loses it, and turns that failed or were "
    "cancelled may stay in it. Give it get_state() and set_state(state), or let it take `history`.",
)

MAY_REMEMBER = "the agent may remember a turn that was not kept"

log = structlog.get_logger(__name__)

FIRST = "default"
"""The conversation for which a factory makes the agent that is tried out."""


@dataclass(frozen=True, slots=True)
class SharedAgent:
    """One callee for every conversation (or, if it has a memory of its own, for one)."""

    about: About
    callee: Callee
    boundary: Boundary
    turns: OneAtATime = field(default_factory=OneAtATime)
    """Where it may answer in one conversation only."""

    @property
    def hangs(self) -> bool:
        return self.turns.hangs

    async def answer(self, asked: Asked, hear: Hear = unheard) -> Said:
        if self.callee.is_shared:
            return await self.boundary.ask(self.callee.adapter, asked, hear)
        async with self.turns:
            return await self.boundary.ask(self.callee.adapter, asked, hear)

    def forget(self, conversation: str) -> None:
        """What the callee remembers by itself, it alone could forget."""

    def not_kept(self, conversation: str) -> None:
        if self.callee.own_memory:
            log.warning(MAY_REMEMBER, conversation=conversation)

    def try_out(self, history: Sequence[Message]) -> None:
        """Nothing is made for it."""


@dataclass(slots=True)
class AgentPerConversation:
    """Asks a factory, which takes some of GIVEN, for each conversation's agent, and keeps it.

    `about` knows more once the first agent was made.
    """

    about: About
    factory: Callable[..., Any]
    given: frozenset[str]
    options: Mapping[str, object]
    boundary: Boundary
    kept: dict[str, Callee] = field(default_factory=dict[str, Callee])
    bound: FairBound[str] = field(init=False)
    first: list[Callee] = field(default_factory=list[Callee])
    """The agent that was tried out, until the first turn."""
    hangs: bool = field(init=False, default=False)
    """Never: each hangs for its own conversation."""

    def __post_init__(self) -> None:
        most = getattr(self.factory, "most_kept", MOST_KEPT)
        self.bound = FairBound[str](most)

    async def answer(self, asked: Asked, hear: Hear = unheard) -> Said:
        conversation, history = asked.conversation, asked.history
        callee = self.kept.get(conversation) or self._first(conversation, history)
        callee = callee or await self._make(conversation, history)
        self._keep(conversation, callee)
        return await self.boundary.ask(callee.adapter, asked, hear)

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

    def not_kept(self, conversation: str) -> None:
        if "history" in self.given:
            self.forget(conversation)  # It is made again, from the history.
        elif (callee := self.kept.get(conversation)) and callee.own_memory:
            # Made again it would know nothing at all.
            log.warning(MAY_REMEMBER, conversation=conversation)

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
        fits = "conversation_id" not in self.given or conversation == FIRST
        return callee if fits and ("history" not in self.given or not len(history)) else None

    async def _make(self, conversation: str, history: Sequence[Message]) -> Callee:
        given: dict[str, object] = {"conversation_id": conversation, "history": history}
        arguments = {name: given[name] for name in self.given}
        if "history" in arguments:
            len(history)  # From now on it ends here, whenever the agent reads it.
        made = await self.boundary.make(partial(self.factory, **arguments, **self.options), history)
        try:
            callee = as_callee(made, self.boundary.in_thread)
        except Unsupported as error:
            raise AgentFailed(str(error)) from None
        if callee is not None:
            self._check_is_new(callee)
            self._learn(callee)
            return callee
        hint = " A function that takes no message is a factory; an agent takes a `message`."
        raise AgentFailed(
            f"The factory made {type(made).__name__}, which cannot be asked: it needs a "
            "method answer(message) or answer(message, history)."
            f"{'' if inspect.isclass(self.factory) else hint}"
        )

    def _check_is_new(self, callee: Callee) -> None:
        """Two conversations in one object would see each other's words."""
        is_theirs = callee.own_memory or not callee.is_shared
        if is_theirs and any(other.target is callee.target for other in self.kept.values()):
            raise AgentFailed(
                "The factory returned one object for two conversations. Make a new one in each "
                "call, or serve the object itself."
            )

    def _learn(self, callee: Callee) -> None:
        from_history = "history" in self.given
        loses = OWN_MEMORY if callee.own_memory and not from_history else ()
        self.about = replace(
            self.about,
            wants_history=from_history or callee.wants_history,
            uses_threads=callee.uses_threads,
            state_form=callee.state_form,
            takes=callee.takes,
            takes_urls=callee.takes_urls,
            loses=loses,
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
