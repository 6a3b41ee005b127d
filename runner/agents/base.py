"""What answers: the one shape into which every kind of target is brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, Protocol

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
    """

    target: str
    kind: str
    wants_history: bool
    single_conversation: bool


Emit = Callable[[str], None]
"""Given each piece of a reply's text as it comes; none of them is empty."""


@dataclass(frozen=True, slots=True)
class CurrentTurn:
    """The turn that the agent is called for.

    attempt  1, or more where a process did not live to see the end of an earlier call:
             what that one did to the outside world may be done already.
    """

    id: str
    conversation: str
    attempt: int


CURRENT: ContextVar[CurrentTurn] = ContextVar("turn")


def current_turn() -> CurrentTurn:
    """The turn at work, for an agent to ask, in its thread or its tasks too.

    Raises LookupError outside of a turn.
    """
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

        Never called twice at once for one conversation, and in the turn's own task.
        `history` holds the messages before this one, oldest first, and may read them from
        the store as they are asked for. Whatever the target raises or returns, this
        returns text that can be encoded as UTF-8, or raises `AgentFailed`, or what the
        history's `error` holds. A CancelledError passes through where its task was
        cancelled, by whomever. A target in a thread goes on when its task is cancelled:
        then this returns (by raising CancelledError) only when the thread has stopped.
        """
        ...

    def forget(self, conversation: str) -> None:
        """Drop what is remembered of the conversation: a turn of it was not kept.

        The next `answer` starts from the history that it is given.
        """
