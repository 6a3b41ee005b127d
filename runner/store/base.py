"""What is kept: each conversation's turns, message and reply together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from runner.agents.base import Message
from strategies import Outcome, State, TurnError


class StoreUnavailable(TurnError):
    """The store did not take or give the history. Nothing was kept; try again later."""

    outcome: Outcome = "rolled_back"
    state = State.FAILED


class StoreInUse(Exception):
    """Another process has this store open. End it first, or name another store in [store] url."""


@dataclass(frozen=True, slots=True)
class Record:
    """An answered turn, as it is kept. Times in seconds."""

    turn_id: str
    conversation: str
    message: str
    reply: str


class Store(Protocol):
    """Keeps answered turns. Implementations need not inherit.

    Every call may raise `StoreUnavailable`; then nothing was changed.
    """

    async def open(self) -> None:
        """Make the store ready. Raises `StoreInUse` where another process has it."""
        ...

    async def close(self) -> None:
        """Let go of everything; calling it twice, or before `open`, does no harm."""
        ...

    async def history(self, conversation: str, count: int = 0) -> list[Message]:
        """The last `count` messages, oldest first; 0 means all. Empty where nothing is known."""
        ...

    async def commit(self, record: Record) -> int:
        """Keep message and reply in one step, both or neither; give the turn's number, from 1.

        When this returns, the turn survives the process (if the store is
        durable). Cancelling the caller does not stop a commit that has begun.
        """
        ...
