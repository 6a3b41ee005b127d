"""Conversations as they leave one store and come into another: whole, and turn by turn.

What is exported goes on after an import exactly where it was: its turns have their numbers,
ids and instants, and its agent its state. Neither side holds more than a turn in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from strategies import State

if TYPE_CHECKING:
    from runner.store.base import AcceptedTurn, AgentState


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """A turn of the history.

    number   its place in the conversation, from 1.
    kept_at  when it was committed, in seconds since 1970.
    state    ANSWERED, or INTERRUPTED with the words until then.
    output   the reply as JSON, where it is more than a text; `requests` as JSON too.
    merged   the ids of other turns that it answers.
    """

    number: int
    id: str
    message: str
    reply: str
    kept_at: float
    state: State = State.ANSWERED
    output: bytes | None = None
    requests: bytes | None = None
    merged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptConversation:
    """A conversation with a history.

    last    the number of its last turn.
    said    a digest of all that was said, by which it can be found.
    states  what its turns left for the next one, one for each kind of agent.
    parts   its turns in order, and then those of its accepted turns that have ended: without
            what they asked, and without what the history has. Can be read once, and before
            the next conversation is asked for.
    """

    id: str
    last: int
    said: str | None
    states: tuple[AgentState, ...]
    parts: Iterable[KeptTurn | AcceptedTurn]


class Snapshot(Protocol):
    """What a store keeps at one instant. Every call may raise `StoreUnavailable`."""

    def names(self) -> Iterator[str]:
        """The ids of all conversations with a history, everybody's, in the order of their bytes."""
        ...

    def conversation(self, name: str) -> KeptConversation | None: ...

    def unfinished(self) -> list[str]:
        """For each accepted turn that has not ended, its conversation."""
        ...
