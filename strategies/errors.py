"""What can end a turn without a reply, and why.

A class's docstring is its default message, with the remedy; `state` is where its ticket
ends. There are no status codes here: the edge has one table for that.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal, Self

Outcome = Literal["not_started", "rolled_back", "unknown"]


class State(StrEnum):
    """Where a turn stands. It leaves WAITING and RUNNING once, and for good."""

    WAITING = "waiting"
    RUNNING = "running"
    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"


UNSURE = "The turn ended when it could no longer be taken back. The history tells if it was kept."
"""The message of an error that is made with the outcome `unknown`, for the class promises more."""


class TurnError(Exception):
    """The turn ended without a reply.

    outcome        `not_started`: the agent was never called for it;
                   `rolled_back`: it was called, and nothing was kept;
                   `unknown`: nobody can tell.
    retry_after_s  seconds after which another try is likely to be served,
                   or None where no measurement supports a figure.
    """

    outcome: Outcome = "unknown"
    state: ClassVar[State] = State.FAILED

    def __init_subclass__(
        cls, *, state: State | None = None, outcome: Outcome | None = None
    ) -> None:
        cls.state = state or cls.state
        cls.outcome = outcome or cls.outcome

    def __init__(
        self,
        message: str | None = None,
        *,
        outcome: Outcome | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message or (UNSURE if outcome == "unknown" else type(self).__doc__))
        self.outcome = outcome or type(self).outcome
        self.retry_after_s = retry_after_s

    def again(self) -> Self:
        """A copy to raise: one object raised at many waiters grows its traceback with each."""
        copy = type(self)(str(self), outcome=self.outcome, retry_after_s=self.retry_after_s)
        copy.__cause__ = self.__cause__
        return copy


class ConversationBusy(TurnError, state=State.REFUSED, outcome="not_started"):
    """A turn of this conversation is running. Send the message again when it has ended."""


class ConversationQueueFull(TurnError, state=State.REFUSED, outcome="not_started"):
    """The line of this conversation is full. Send the message again when some turns have ended."""


class CallerQueueFull(TurnError, state=State.REFUSED, outcome="not_started"):
    """Too many of your turns are waiting. Send the message again when some of them have ended."""


class ServerFull(TurnError, state=State.REFUSED, outcome="not_started"):
    """Too many turns are waiting. Send the message again later, or to another instance."""


class WaitExpired(TurnError, state=State.EXPIRED, outcome="not_started"):
    """The turn could not start in time and was dropped. Send it again, or allow it more time."""


class Draining(TurnError, state=State.REFUSED, outcome="not_started"):
    """The server is shutting down. Send the message again in a moment, or to another instance."""


class TurnCancelled(TurnError, state=State.CANCELLED, outcome="not_started"):
    """The turn was cancelled, as asked."""


class TurnInterrupted(TurnError, state=State.INTERRUPTED, outcome="rolled_back"):
    """A newer turn or the end of the server stopped this turn. Nothing of it was kept."""


class TurnTimeout(TurnError, state=State.EXPIRED, outcome="rolled_back"):
    """The agent did not reply in time. Nothing was kept; allow it more time or ask for less."""


class AgentFailed(TurnError, state=State.FAILED, outcome="rolled_back"):
    """The agent failed. Nothing was kept; its error is in the server's log."""
