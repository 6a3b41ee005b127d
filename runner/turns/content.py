"""What a turn asks besides the text of its message, and what is answered besides text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Literal

from pydantic import TypeAdapter
from pydantic_core import to_json

from runner.agents.base import Part
from runner.agents.requests import Decision

OWN_BYTES = 1_000

Resume = Mapping[str, Decision] | Literal["cancel"]
"""Answers to an agent's requests, by their ids; or none of them is answered, ever."""


@dataclass(frozen=True, slots=True)
class Content:
    """`Turn.more`: what is asked; of a turn that is nothing but a text there is none.

    parts     the whole message where it is more than its text, or ().
    metadata  what the client says about the turn.
    resume    in place of a message, or None.
    said      a digest of all that was said with this message, where its client has no id for
              the conversation and is to find it by that; or None.
    digest    of what its client asked, where that may be put to the agent in several ways.
    past      what was said before, as that client has it, of a conversation that is new here.
    """

    parts: tuple[Part, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    resume: Resume | None = None
    said: str | None = None
    digest: str | None = None
    past: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> bytes:
        return CONTENT.dump_json(self, exclude_defaults=True)

    @property
    def bytes(self) -> int:
        """About what it weighs in memory."""
        texts = (text for part in self.parts for text in part.values())
        past = (text for turn in self.past for text in turn)
        weight = sum(map(getsizeof, (*texts, *self.metadata.values(), *past)))
        return OWN_BYTES + weight + (len(self.to_json()) if self.resume else 0)


CONTENT = TypeAdapter(Content)


NO_CONTENT = Content()


def from_json(data: bytes | None) -> Content | None:
    return None if data is None else CONTENT.validate_json(data)


@dataclass(frozen=True, slots=True)
class Besides:
    """`Reply.more`: JSON that was answered besides the text."""

    output: bytes | None = None
    requests: bytes | None = None


NOTHING_BESIDES = Besides()


def in_words(resume: Resume) -> str:
    """What an agent that reads texts is told, and the history shows."""
    if resume == "cancel":
        return "cancelled"
    return "\n".join(map(_words, resume.values()))


def _words(decision: Decision) -> str:
    if decision.value is not None:
        return (
            decision.value if isinstance(decision.value, str) else to_json(decision.value).decode()
        )
    if decision.approve:
        return "approved"
    return f"denied: {decision.reason}" if decision.reason else "denied"
