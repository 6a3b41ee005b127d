"""What a store keeps: each conversation's history, and the turns that somebody may ask for again.

The **history** has a row for each answered turn. An **agent's state** is what it needs besides,
one for each conversation, and changes with the history. The **accepted turns** have one for each
turn that was promised to somebody who may be gone when it ends: it is written before the
promise, and holds how the turn ended. A turn that nobody can ask for again has no such row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from runner.agents.base import Message
from runner.store.timing import Took
from strategies import Outcome, State, TurnError

if TYPE_CHECKING:
    from runner.store.archive import KeptConversation, Snapshot
    from runner.store.history import History


class StoreUnavailable(TurnError, state=State.FAILED, outcome="unknown"):
    """The store failed, and cannot tell whether the turn was kept. The history will tell."""


class NothingKept(StoreUnavailable, outcome="rolled_back"):
    """The store could not be written or read. Nothing was kept; try again later."""


class _WhateverItRaises:
    """Takes what a store ought not to raise, such as MemoryError, for a failure of the store."""

    def __enter__(self) -> None:
        """A plain class: with `contextmanager` each turn would pay for two generators."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, TurnError | asyncio.CancelledError):
            raise StoreUnavailable from error


whatever_it_raises = _WhateverItRaises()


Place = tuple[float, int, str]
"""Of a turn that has ended: when that was, its number, and its id.

The instant of one without a number, which has no reply, is when it was accepted.
"""


class IdTaken(NothingKept):
    """A turn's id is in the store already, in another conversation. Nothing was kept."""


class StoreInUse(Exception):
    """Another process has this store open. End it first, or name another store with --store."""


@dataclass(frozen=True, slots=True)
class AgentState:
    """What a turn left for the next one of its conversation and kind of agent, as JSON.

    form      which kind of agent can read it.
    state     the agent's own, or None.
    requests  what it needs a person for, if it has to have that before it can go on.
    before    its state before it requested that, for the case that nobody answers.
    """

    form: str
    state: bytes | None = None
    requests: bytes | None = None
    before: bytes | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """An answered turn, as it is kept in the history.

    output   the reply as JSON, where it is more than a text.
    left     what it leaves for the next turn; None: what there is stays.
    said     a digest of all that was said up to here, by which the conversation can be found.
    before   messages and replies from elsewhere, with which a new conversation begins.
    answers  the ids of the accepted turns that it answers; () for `turn_id` alone.
    state    ANSWERED, or INTERRUPTED with the words until then.
    waited_s, ran_s  seconds that each of `answers` waited, and that the agent took.
    """

    turn_id: str
    conversation: str
    message: str
    reply: str
    answers: tuple[str, ...] = ()
    state: State = State.ANSWERED
    waited_s: Mapping[str, float] = field(default_factory=dict[str, float])
    ran_s: float = 0.0
    output: bytes | None = None
    left: AgentState | None = None
    said: str | None = None
    before: tuple[tuple[str, str], ...] = ()

    @property
    def requests(self) -> bytes | None:
        return None if self.left is None else self.left.requests

    def id_before(self, place: int) -> str:
        """Of a turn of `before`; places count from 1."""
        return f"{self.turn_id}.{place}"


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a turn. Times in seconds.

    reply, number  the agent's words and the place in the history, of a turn that has them.
    output         the reply as JSON, where it is more than a text.
    requests       JSON: what its agent needs a person for, or what it would have answered.
    cause          the error's name otherwise, with its `detail`, `outcome` and `retry_after_s`.
    """

    state: State
    reply: str | None = None
    number: int = 0
    cause: str | None = None
    detail: str = ""
    outcome: Outcome = "unknown"
    retry_after_s: float | None = None
    waited_s: float = 0.0
    ran_s: float = 0.0
    output: bytes | None = None
    requests: bytes | None = None


@dataclass(frozen=True, slots=True)
class AcceptedTurn:
    """A turn as it is written down when it is accepted. Instants are seconds since 1970.

    more         what was asked besides the message, as JSON, or None.
    key, digest  the idempotency key under which it was asked, and a hash of what was asked.
    attempts     how often the agent was called for it, in all processes.
    webhook      who is to be told of its end, until that is done: see `runner.webhooks.wanted`.
    request_id   of the request that asked for it; `traceparent` its caller's span, or "".
    ending       what became of it, or None.
    """

    id: str
    conversation: str
    message: str
    accepted_at: float
    deadline_at: float | None = None
    priority: int = 3
    strategy: str | None = None
    more: bytes | None = None
    key: str | None = None
    digest: str | None = None
    attempts: int = 0
    webhook: str | None = None
    request_id: str = ""
    traceparent: str = ""
    ending: Ending | None = None


class Store(Protocol):
    """Keeps history and accepted turns. Implementations need not inherit.

    Every call may raise `StoreUnavailable`: then nobody can tell whether anything was changed.
    Where the store has made sure that nothing was, it raises `NothingKept` instead.
    Writes take effect in the order in which they began, and cancelling the caller stops none
    of them. When one returns, what it wrote survives the process (if the store is `durable`),
    and later reads see it.
    """

    took: Took
    """Is told how long each of the operations took that are timed, from any thread."""

    @property
    def durable(self) -> bool: ...

    @property
    def lost(self) -> bool:
        """Whether it keeps nothing any more until the server is started again."""
        ...

    @property
    def available(self) -> bool:
        """Whether it can be reached now. It comes back by itself."""
        ...

    async def open(self) -> None:
        """Make the store ready. Raises `StoreInUse` where another process has it."""

    async def close(self) -> None:
        """Let go of everything; calling it twice, or before `open`, does no harm."""

    # History.

    def history(self, conversation: str, turns: int | None = None) -> History:
        """The conversation's messages, or those of its last `turns`. Reads nothing yet.

        What is looked at is read in the thread that looks, which may be a long way off.
        """
        ...

    async def before(
        self, conversation: str, form: str, turns: int | None = None
    ) -> tuple[AgentState | None, History]:
        """What a turn begins with: `agent_state`, and `history` with its end read already.

        A store on this machine answers without suspending.
        """
        ...

    async def messages(self, conversation: str, count: int = 0) -> list[Message]:
        """The last `count` messages, oldest first; 0 means all."""
        ...

    async def agent_state(self, conversation: str, form: str) -> AgentState | None:
        """What the conversation's last turn of such an agent left, or None.

        A store on this machine answers without suspending.
        """
        ...

    async def commit(self, record: Record) -> int:
        """Keep message, reply and what is left, all or none; give the turn's number, from 1.

        The accepted turns that it answers get their ending in the same step. A second commit
        of a turn id is refused. Who is cancelled meanwhile learns of it at the next `await`.
        """
        ...

    async def said(self, digest: str, most: int) -> list[str]:
        """Conversations whose last turn has this digest, `most` of them at most.

        A store on this machine answers without suspending.
        """
        ...

    async def turns(self, conversation: str) -> int:
        """The number of the conversation's last turn; 0 where nothing is known.

        A store on this machine answers without suspending.
        """
        ...

    async def conversations(self, prefix: str, limit: int) -> tuple[Mapping[str, int], int]:
        """The conversations whose id is `prefix` and then no slash, and how many there are.

        The first `limit` by name, each with what `turns` gives for it; 0 means all.
        """
        ...

    async def forget(self, conversation: str, idle_since: float | None = None) -> bool:
        """Remove the conversation's history and state, and its accepted turns that have ended.

        idle_since  in seconds since 1970: then only where `idle` would name it.
        All of it goes in one step; gives whether it is gone.
        """
        ...

    async def idle(self, since: float, most: int) -> list[str]:
        """Conversations of which nothing was kept or accepted `since`, nor is unfinished.

        Those first that have been idle for the longest time, `most` of them at most.
        """
        ...

    # Accepted turns, listed in the order of `accept`.

    async def accept(self, turn: AcceptedTurn) -> None: ...

    async def begin(self, turn_ids: Sequence[str]) -> None:
        """One attempt more for each of these, or for none where one is not written down."""

    async def end(self, turn_id: str, ending: Ending) -> None:
        """What became of an accepted turn that was not committed. Its first ending stays.

        Without `requests`: those are another turn's, and would be kept each time one is refused.
        """

    async def find(self, turn_id: str) -> AcceptedTurn | None:
        """An accepted turn, or any in the history: then `accepted_at` is when it was committed.

        What one that has ended was asked may be left out.
        """
        ...

    async def ended(
        self, conversation: str, before: Place | None, most: int
    ) -> tuple[list[Place], int]:
        """Those of a conversation that `find` would give with an ending, and how many there are.

        The latest first, `most` of them at most, and only those before this one.
        """
        ...

    async def unfinished(self) -> list[AcceptedTurn]:
        """Those without an ending."""
        ...

    async def keyed(self) -> list[AcceptedTurn]:
        """Those with a key. What was asked, and what the history has, may be left out."""
        ...

    async def untold(self) -> list[AcceptedTurn]:
        """Those with a webhook. What was asked, and an agent's requests, may be left out."""
        ...

    async def hook(self, turn_id: str, webhook: str) -> bool:
        """Have its webhook be this one. False where it has ended, or is not written down."""
        ...

    async def told(self, turn_id: str) -> None:
        """Its webhook is delivered, or given up. Where there is no such turn, nothing is done."""

    async def shift(self, by_s: float) -> None:
        """The wall clock was set by so much: move the instants of all of them along."""

    async def prune(self, before: float, most: int) -> None:
        """Remove those that have ended and were accepted `before`, and all but `most` others.

        The newest of each caller stay first, then the second newest of each, and so on.
        """

    # Export and import.

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """What is kept now, to be read bit by bit in the thread that asks, for as long as it takes.

        Without `open`, and while another process has the store: it changes nothing, and holds
        up no write. Raises StoreUnavailable.
        """
        ...

    async def restore(self, conversations: Iterable[KeptConversation]) -> list[str]:
        """Keep these, all of them in one step or none.

        Gives those that have a history already: of them nothing is changed. They are read bit
        by bit, in a thread; what that raises is the cause of a `NothingKept`. Raises IdTaken.
        """
        ...
