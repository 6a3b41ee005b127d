"""What a call raises: a class for each thing that is handled differently."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from runner.client.shapes import OUTCOMES, Document, Outcome, Request


class TurnlineError(Exception):
    """There is no reply. The members are those of the server's problem document.

    status         of HTTP; 0 where no server answered.
    name           the last part of the problem's `type`, such as `server-full`; or "".
    title, detail  what happened, and what to do.
    outcome        `not_started`, `rolled_back` or `unknown`; None where the agent asks.
    retry_after_s  when another try may succeed, where one may.
    turn_id        where a turn came of the message; or "".
    document       all of it.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        status = document.get("status")
        self.status = status if isinstance(status, int) else 0
        self.type = str(document.get("type") or "")
        self.name = self.type.rpartition(":")[2]
        self.title = str(document.get("title") or "")
        self.detail = str(document.get("detail") or "")
        outcome, after_s = document.get("outcome"), document.get("retry_after_s")
        self.outcome: Outcome | None = outcome if outcome in OUTCOMES else None
        is_time = isinstance(after_s, int | float) and 0 <= after_s < inf
        self.retry_after_s = after_s if is_time else None
        self.turn_id = str(document.get("turn_id") or "")
        self.conversation_id = str(document.get("conversation_id") or "")
        super().__init__(self._in_words())

    def _in_words(self) -> str:
        title = "" if self.detail.startswith(self.title) else f"{self.title}."
        return " ".join(filter(None, (str(self.status or ""), title, self.detail)))


class Refused(TurnlineError):
    """The agent was never called. Correct the message, or send it again later."""


class InputRequired(TurnlineError):
    """The agent needs a person: answer all the requests with `resume`, or drop them.

    outcome  None where the agent asks because of this message; `not_started` where an earlier
             turn asks: the message was not taken, so send it again once that is settled.
    text     what the agent said before it asked.
    """

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self.requests = requests_of(document)
        self.text = str(document.get("response") or "")


class Cancelled(TurnlineError):
    """The turn was cancelled, or interrupted by a newer message or a restart (`name` says)."""


class TurnFailed(TurnlineError):
    """The agent failed, or took too long. Nothing of the turn was kept."""


class OutcomeUnknown(TurnlineError):
    """Nobody can tell: the agent may have answered, or may still. See the history."""


def error_of(document: Document) -> TurnlineError:
    """The error for a problem document."""
    name = str(document.get("type") or "").rpartition(":")[2]
    if name == "input-required":
        return InputRequired(document)
    if name in ("turn-cancelled", "turn-interrupted"):
        return Cancelled(document)
    match document.get("outcome"):
        case "not_started":
            return Refused(document)
        case "rolled_back":
            return TurnFailed(document)
        case _:
            return OutcomeUnknown({**document, "outcome": "unknown"})


def asked_of(reply: Document) -> InputRequired:
    """The error for the body of a 200 whose agent asks."""
    told = {"status": 200, "title": "The agent needs a person", "type": "input-required"}
    return InputRequired({**reply, **told})


def requests_of(document: Document) -> tuple[Request, ...]:
    listed: Iterable[dict[str, Any]] = document.get("requests") or ()
    return tuple(
        Request(
            id=str(one.get("id")),
            kind="approval" if one.get("kind") == "approval" else "question",
            name=str(one.get("name") or ""),
            arguments=one.get("arguments"),
            prompt=str(one.get("prompt") or ""),
        )
        for one in listed
    )
