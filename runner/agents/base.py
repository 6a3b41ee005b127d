"""What answers: the one shape into which every kind of target is brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, Protocol

from typing_extensions import TypedDict  # On Python 3.11 pydantic reads no other.


class Message(TypedDict):
    """One entry of a conversation's history."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class About:
    """What the loader made of a target.

    kind                  what it was taken for, in words, such as "async function".
    wants_history         False: `answer` need not be given the history.
    single_conversation   True: one object with one history, for the conversation `default`.
    uses_threads          False: `answer` runs on the event loop alone.
    """

    target: str
    kind: str
    wants_history: bool
    single_conversation: bool
    uses_threads: bool = True


Emit = Callable[[str], None]
"""Given each piece of a reply's text as it comes; none of them is empty."""


@dataclass(frozen=True, slots=True)
class CurrentTurn:
    """The turn that the agent is called for."""

    id: str
    conversation: str
    attempt: int
    """More than 1 after a crash: what was done to the outside world may be done already."""


CURRENT: ContextVar[CurrentTurn] = ContextVar("turn")


def current_turn() -> CurrentTurn:
    """The turn at work, in its thread and tasks too. LookupError outside of a turn."""
    return CURRENT.get()


def unheard(piece: str) -> None:
    """An `Emit` for those who wait for the whole reply."""


class Agent(Protocol):
    """Answers messages. Implementations need not inherit."""

    @property
    def about(self) -> About: ...

    async def answer(
        self, conversation: str, message: str, history: Sequence[Message], emit: Emit = unheard
    ) -> str:
        """The reply to the message; a target that yields pieces has each of them emitted.

        Called in the turn's own task, never twice at once for one conversation. `history`
        holds the messages before this one, oldest first, and may read them when they are
        asked for. Whatever the target does, this returns text that can be encoded as UTF-8,
        or raises `AgentFailed`, or what the history's `error` holds, or CancelledError where
        its task was cancelled, by whomever: with a thread, only once that has stopped.
        """
        ...

    def forget(self, conversation: str) -> None:
        """A turn was not kept: the next `answer` starts from the history that it is given."""


def seconds(name: str, value: Any) -> float:
    """An option's value as seconds. ValueError, in words for people, where it is none."""
    with suppress(TypeError, ValueError):
        number = float(value)
        if 0 <= number < inf:
            return number
    raise ValueError(f"{name} must be a number of seconds, 0 or more, and not {value!r}")
