"""What a client sends and gets, as types. Fields that a newer server adds are ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict, get_args

Document = Mapping[str, Any]
"""An object of JSON."""

Outcome = Literal["not_started", "rolled_back", "unknown"]
State = Literal[
    "waiting", "running", "answered", "failed", "cancelled", "expired", "interrupted", "refused"
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
STATES: tuple[State, ...] = get_args(State)

# What is sent.


class TextPart(TypedDict):
    type: Literal["text"]
    text: str


class ImagePart(TypedDict):
    """With `url`, or with `media_type` and `data` in base64."""

    type: Literal["image"]
    url: NotRequired[str]
    media_type: NotRequired[str]
    data: NotRequired[str]


class FilePart(TypedDict):
    """With `url`, or with `data` in base64."""

    type: Literal["file"]
    name: str
    media_type: str
    url: NotRequired[str]
    data: NotRequired[str]


Message = str | Sequence[TextPart | ImagePart | FilePart]


@dataclass(frozen=True, slots=True)
class Answer:
    """To one request of an agent. `value` is what a question is answered with, any JSON."""

    approve: bool = True
    value: Any = None
    reason: str = ""


class Options(TypedDict, total=False):
    """What may be said of a turn besides its message.

    resume           in place of a message: an Answer for the id of each request that is open,
                     or "cancel", which drops them.
    metadata         up to 16 texts, which the agent finds in `current_turn()`.
    deadline_s       the turn must end within so many seconds, from the call on; otherwise it is
                     refused or stopped.
    priority         0 is most urgent, 7 least, 3 the default.
    strategy         one of those that the server allows a turn to choose.
    idempotency_key  the same key and message in a conversation are one turn. The client makes
                     one for each call; name your own to ask again in another process.
    """

    resume: Mapping[str, Answer] | Literal["cancel"]
    metadata: Mapping[str, str]
    deadline_s: float
    priority: int
    strategy: str
    idempotency_key: str


# What comes back.


@dataclass(frozen=True, slots=True)
class Request:
    """What an agent needs a person for: to approve a tool, or to answer a question."""

    id: str
    kind: Literal["approval", "question"]
    name: str = ""
    arguments: Any = None
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the turn so far."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What the agent answered: the last event of a turn that has a reply.

    number       the turn's place in its conversation, from 1.
    output       the reply where it is more than a text; `text` is the same as JSON.
    usage        where the agent told it, and the server was not restarted since.
    interrupted  the reply is what there was when a newer message stopped the turn.
    attempt      calls of the agent for it; 2 after a restart.
    """

    text: str
    turn_id: str = ""
    conversation_id: str = ""
    number: int = 0
    agent_id: str = ""
    output: Any = None
    usage: Usage | None = None
    interrupted: bool = False
    attempt: int = 1
    waited_ms: int = 0
    ran_ms: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where the turn stands in the line: at first, and whenever that changes.

    position     1 is next, 0 means that it need not wait, None that it is not known.
    eta_s        expected seconds until it starts; between those of `eta_range_s` for 80 %.
    """

    turn_id: str
    position: int | None
    eta_s: float | None
    eta_range_s: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The agent is called. With a higher `attempt` than before the text begins anew."""

    turn_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Of the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of what the model thinks aloud."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class ToolResult:
    id: str
    name: str
    content: Any


@dataclass(frozen=True, slots=True)
class Retrying:
    """The connection broke, or the server refused; the client tries again in `after_s`."""

    reason: Exception
    after_s: float


Event = (
    Waiting | Started | Piece | Reasoning | ToolCall | ToolResult | Usage | Retrying | Reply
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn as it stood when the server was asked.

    reply   of one that was answered.
    error   of one that ended otherwise: what `ask` would have raised.
    fenced  it was stopped, but its agent has not stopped yet; its conversation waits for it.
    """

    id: str
    conversation_id: str
    state: State
    position: int | None = None
    eta_s: float | None = None
    attempt: int = 0
    reply: Reply | None = None
    error: Exception | None = None
    fenced: bool = False

    @property
    def has_ended(self) -> bool:
        return self.state not in ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a conversation's history."""

    role: Literal["user", "assistant"]
    content: str
