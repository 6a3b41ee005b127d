"""What an agent requested of a person, and whether a turn may run while that is open."""

from __future__ import annotations

from typing import Self

from pydantic_core import from_json

from runner.store.base import AgentState
from runner.turns.content import Content, Resume
from strategies import State, Turn, TurnError

SHOWN = 500
"""Characters of what a client sent that it is told again: it may have been a megabyte."""


class InputPending(TurnError, state=State.REFUSED, outcome="not_started"):
    """The agent waits for answers to its requests. Send them as `resume`, or "cancel" for none."""

    requests: bytes | None = None
    """As they are kept."""

    @classmethod
    def until_answered(cls, requests: bytes) -> Self:
        pending = cls()
        pending.requests = requests
        return pending

    def again(self) -> Self:
        copy = super().again()
        copy.requests = self.requests
        return copy


class WrongResume(TurnError, state=State.REFUSED, outcome="not_started"):
    """The answers do not fit the agent's requests."""


def resumes(turn: Turn) -> bool:
    """Whether it answers an agent's requests, or drops them."""
    return isinstance(turn.more, Content) and turn.more.resume is not None


def check(left: AgentState | None, resume: Resume | None) -> None:
    """Raise InputPending for a message while requests are open, and WrongResume for answers
    that are not those which are waited for."""
    requests = None if left is None else left.requests
    if resume is None:
        if requests:
            raise InputPending.until_answered(requests)
        return
    if requests is None:
        raise WrongResume("The agent has no request open in this conversation; send a message.")
    if resume == "cancel":
        return
    ids = [one["id"] for one in from_json(requests)]
    unknown = [name for name in resume if name not in ids]
    missing = [name for name in ids if name not in resume]
    if unknown or missing:
        wrong = f"there is no {unknown[0]!r:.{SHOWN}}" if unknown else f"{missing[0]!r} is missing"
        listed = ", ".join(ids)
        raise WrongResume(f"Answer all requests that are open ({listed:.{SHOWN}}): {wrong}.")
