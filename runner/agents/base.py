"""What answers: the one shape into which every kind of target is brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import (
    Any,
    Literal,
    NotRequired,  # On Python 3.11 pydantic reads no other.
    Protocol,
)

from typing_extensions import TypedDict

from runner.agents.requests import Decision, InputRequest

Json = Any
"""What `json.loads` gives."""


class Message(TypedDict):
    """One entry of a conversation's history."""

    role: Literal["user", "assistant"]
    content: str


class TextPart(TypedDict):
    type: Literal["text"]
    text: str


class ImagePart(TypedDict):
    """Either `url`, or `media_type` and `data` in base64."""

    type: Literal["image"]
    url: NotRequired[str]
    media_type: NotRequired[str]
    data: NotRequired[str]


class FilePart(TypedDict):
    """With `url`, or `data` in base64."""

    type: Literal["file"]
    name: str
    media_type: str
    url: NotRequired[str]
    data: NotRequired[str]


Part = TextPart | ImagePart | FilePart


@dataclass(frozen=True, slots=True)
class Asked:
    """What an agent is asked, and what it may know.

    message  the text; of answers to an agent's requests, these in words.
    parts    the whole message where it is more than its text, or ().
    resume   answers to the agent's requests, by their ids; None for a plain message.
    history  the messages before this one, oldest first; it may read them when asked for them.
    state    JSON that the agent's last turn left that was kept; None in a new conversation.
             It is the callee's own copy.
    """

    conversation: str
    message: str
    history: Sequence[Message] = ()
    state: Json = None
    parts: tuple[Part, ...] = ()
    resume: Mapping[str, Decision] | None = None


# What an agent tells while it works, beside the pieces of its text.


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of what the model thinks aloud."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is JSON, or text where the model gave no JSON."""

    id: str
    name: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`content` is JSON."""

    id: str
    name: str
    content: Json


@dataclass(frozen=True, slots=True)
class Usage:
    """Of the turn so far: the last one counts."""

    input_tokens: int
    output_tokens: int


Progress = Reasoning | ToolCall | ToolResult | Usage
"""What is no text of the reply."""

Emit = Callable[[str | Progress], None]
"""Given each piece of a reply's text as it comes, and what happens between; in any thread."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an adapter answers.

    text      the whole reply; "" stands for the pieces that were emitted, all together.
    state     JSON for the next turn; None for an agent that keeps none here.
    output    the reply as JSON where it is more than a text, or None.
    requests  what a person must decide or say before the agent can go on.
    """

    text: str
    state: Json = None
    output: Json = None
    requests: tuple[InputRequest, ...] = ()


# The same behind the boundary, checked, and encoded once for all who keep and send it.

Kind = Literal["reasoning", "tool_call", "tool_result", "usage"]


@dataclass(frozen=True, slots=True)
class Told:
    """What an agent told while it worked: an event's kind, and its data in JSON."""

    kind: Kind
    data: bytes


Hear = Callable[[str | Told], None]
"""Given, in the loop, each piece of a reply, none of them empty, and what is told between."""


def unheard(piece: object) -> None:
    """A `Hear`, and an `Emit`, for those who wait for the whole reply."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an agent has answered: text, and as JSON or None its state, output and requests."""

    text: str
    state: bytes | None = None
    output: bytes | None = None
    requests: bytes | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What the loader made of a target.

    kind                  what it was taken for, in words, such as "async function".
    wants_history         False: `answer` need not be given the history.
    single_conversation   True: one object with one history, for the conversation `default`.
    uses_threads          False: `answer` runs on the event loop alone.
    state_form            which kind of state it is given, and gives; "" for none.
    one_at_a_time         True: it cannot answer in two conversations at once.
    takes                 the kinds of parts that it takes beside text.
    takes_urls            it takes them by a `url` too, and not only their data.
    loses                 what it is going to lose, and how that can be helped; in sentences.
    """

    target: str
    kind: str
    wants_history: bool
    single_conversation: bool
    uses_threads: bool = True
    state_form: str = ""
    one_at_a_time: bool = False
    takes: frozenset[str] = frozenset()
    takes_urls: bool = True
    loses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CurrentTurn:
    """The turn that the agent is called for.

    attempt   more than 1 after a crash: what was done to the outside world may be done already.
    caller    who asks, "" where nobody is named.
    metadata  what the client said about it.
    resume    its answers to the agent's requests, or None.
    ends_at   when the turn is stopped, by `time.monotonic`; inf for never.
    request_id  of the request that asked for it, and `trace_id` of its trace; "" for none.
    """

    id: str
    conversation: str
    attempt: int
    caller: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    resume: Mapping[str, Decision] | None = None
    ends_at: float = inf
    request_id: str = ""
    trace_id: str = ""

    @property
    def remaining_s(self) -> float:
        """Seconds until the turn is stopped; inf where it never is."""
        return max(self.ends_at - monotonic(), 0.0)


CURRENT: ContextVar[CurrentTurn] = ContextVar("turn")


def current_turn() -> CurrentTurn:
    """The turn at work, in its thread and tasks too. LookupError outside of a turn."""
    return CURRENT.get()


class Agent(Protocol):
    """Answers messages. Implementations need not inherit."""

    @property
    def about(self) -> About: ...

    @property
    def hangs(self) -> bool:
        """Whether a turn that was given up goes on, and no other is answered meanwhile."""
        ...

    async def answer(self, asked: Asked, hear: Hear = unheard) -> Said:
        """The reply to what is asked; `hear` is told what comes meanwhile.

        Called in the turn's own task, never twice at once for one conversation. Whatever the
        target does, this gives text that can be encoded as UTF-8, and JSON, or
        raises `AgentFailed`, or what the history's `error` holds, or CancelledError where
        its task was cancelled, by whomever: with a thread, only once that has stopped.
        """
        ...

    def forget(self, conversation: str) -> None:
        """The conversation was deleted."""

    def not_kept(self, conversation: str) -> None:
        """A turn was not kept: the next `answer` goes on from the history and state it is given."""


def seconds(name: str, value: Any) -> float:
    """An option's value as seconds. ValueError, in words for people, where it is none."""
    with suppress(TypeError, ValueError):
        number = float(value)
        if 0 <= number < inf:
            return number
    raise ValueError(f"{name} must be a number of seconds, 0 or more, and not {value!r}")
