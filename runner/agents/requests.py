"""What an agent needs a person for: requests that end its turn, and the answers to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class InputRequest:
    """Something that a person must approve, or answer.

    id         names it among the requests of its turn.
    name       of the tool that is to be approved, with its `arguments`, JSON.
    prompt     what to ask, in words.
    """

    kind: Literal["approval", "question"] = "question"
    prompt: str = ""
    name: str = ""
    arguments: Any = None
    id: str = field(default_factory=lambda: token_hex(8))


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's answer to a request.

    value   an answer in JSON, or None.
    reason  why not, for the agent.
    """

    approve: bool
    value: Any = None
    reason: str = ""


class InputRequired(Exception):
    """Raised or returned by an agent: its turn ends, and these requests are put to a person.

    Each is an `InputRequest`, or the text of a question. The answers come with the next turn
    of the conversation: `current_turn().resume` has a `Decision` for each request's id.
    """

    def __init__(self, *requests: InputRequest | str) -> None:
        if not requests:
            raise ValueError("InputRequired needs at least one request")
        self.requests = tuple(
            InputRequest(prompt=one) if isinstance(one, str) else one for one in requests
        )
        super().__init__("; ".join(one.prompt or one.name for one in self.requests))
