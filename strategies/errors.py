"""What can end a turn without a reply, and why.

Each class says three things a caller may act on: its docstring is the default
message, with the remedy; `outcome` says what became of the turn; `state` is
where the ticket ends. There are no status codes here: the edge has one table
for that.
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

    def __init__(
        self,
        message: str | None = None,
        *,
        outcome: Outcome | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message or type(self).__doc__)
        self.outcome = outcome or type(self).outcome
        self.retry_after_s = retry_after_s

    def again(self) -> Self:
        """A copy to raise: one object raised at many waiters grows its traceback with each."""
        copy = type(self)(str(self), outcome=self.outcome, retry_after_s=self.retry_after_s)
        copy.__cause__ = self.__cause__
        return copy


class ConversationBusy(TurnError):
    """A turn of this conversation is running. Send the message again when it has ended."""

    outcome: Outcome = "not_started"
    state = State.REFUSED


class ConversationQueueFull(TurnError):
    """As many turns of this conversation wait as may. Let some of them end, then send it again."""

    outcome: Outcome = "not_started"
    state = State.REFUSED


class ServerFull(TurnError):
    """As many turns wait here as may. Send the message again later, or to another instance."""

    outcome: Outcome = "not_started"
    state = State.REFUSED


class WaitExpired(TurnError):
    """The turn could not start in time, so it never did. Send it again, or allow it more time."""

    outcome: Outcome = "not_started"
    state = State.EXPIRED


class Draining(TurnError):
    """The server is shutting down. Send the message again in a moment, or to another instance."""

    outcome: Outcome = "not_started"
    state = State.REFUSED


class TurnCancelled(TurnError):
    """The turn was cancelled, as asked."""

    outcome: Outcome = "not_started"
    state = State.CANCELLED


class TurnInterrupted(TurnError):
    """Something took the turn's place or stopped it before its end. Nothing of it was kept."""

    outcome: Outcome = "rolled_back"
    state = State.INTERRUPTED


class TurnTimeout(TurnError):
    """The agent did not reply in time. Nothing was kept; allow it more time or ask for less."""

    outcome: Outcome = "rolled_back"
    state = State.EXPIRED


class AgentFailed(TurnError):
    """The agent failed instead of replying. Nothing was kept; the log has its own words."""

    outcome: Outcome = "rolled_back"
    state = State.FAILED
