"""What the lines of an export may hold. Whatever else is in one is refused, never passed over."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticSerializationError, to_json

from runner.store.archive import KeptTurn
from runner.store.archive_lines import JSON_OF_STATE, JSON_OF_TURN, OF_ACCEPTED, OF_ENDING
from runner.store.base import AcceptedTurn, AgentState, Ending
from strategies import Outcome, State


def _seconds(value: object) -> float:
    """Since 1970."""
    try:
        if isinstance(value, str) and (at := datetime.fromisoformat(value)).tzinfo is not None:
            return at.timestamp()
    except (ValueError, OverflowError):
        pass
    raise PydanticCustomError("instant", "should be an instant such as 2026-11-29T03:27:38.155Z")


def _text(value: str) -> str:
    """JSON may have half a surrogate pair, which is no text."""
    try:
        value.encode()
    except UnicodeError as error:
        raise PydanticCustomError("text", "should be a text, without half of a pair") from error
    return value


def _json(value: object) -> bytes:
    """As it is kept."""
    try:
        return to_json(value, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise PydanticCustomError("json", "should be JSON that can be kept") from error


def _requests(value: object) -> object:
    """As far as the server reads them."""
    asked = cast("list[object]", value) if isinstance(value, list) else []
    if asked and all(map(_is_request, asked)):
        return asked
    raise PydanticCustomError("requests", "should be a list of an agent's requests")


def _is_request(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    one = cast("dict[str, object]", value)
    return isinstance(one.get("id"), str) and one.get("kind") in ("approval", "question")


def _state(value: object) -> object:
    return State(value) if isinstance(value, str) and value in list(State) else value


Instant = Annotated[float, BeforeValidator(_seconds)]
Text = Annotated[str, AfterValidator(_text)]
Json = Annotated[Any, AfterValidator(_json)]
Requests = Annotated[Any, BeforeValidator(_requests), AfterValidator(_json)]
# A turn's id begins with the second in which it was made, and the server reads that.
TurnId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}[0-9A-Za-z._-]{0,120}$")]
Conversation = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9._-]{1,64}/)?[A-Za-z0-9._:-]{1,1024}$")
]
Turns = Annotated[int, Field(ge=1, le=10**12)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
ReplyState = Annotated[Literal[State.ANSWERED, State.INTERRUPTED], BeforeValidator(_state)]
EndState = Annotated[
    Literal[State.ANSWERED, State.FAILED, State.CANCELLED, State.EXPIRED, State.INTERRUPTED,
            State.REFUSED],
    BeforeValidator(_state),
]  # fmt: skip


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    def json_of(self, names: tuple[str, ...]) -> dict[str, bytes]:
        """As it is kept; what is absent is not null."""
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}


class Header(Shape):
    format: Literal["turnline conversations"]
    version: int
    program: str
    exported_at: str


class StateShape(Shape):
    form: Text
    state: Json = None
    requests: Requests = None
    before: Json = None

    def kept(self) -> AgentState:
        return AgentState(self.form, **self.json_of(JSON_OF_STATE))


def _once(states: tuple[StateShape, ...]) -> tuple[StateShape, ...]:
    if len({state.form for state in states}) < len(states):
        raise PydanticCustomError("states", "should have each form once")
    return states


class ConversationShape(Shape):
    conversation: Conversation
    turns: Turns
    said: Text | None = None
    states: Annotated[tuple[StateShape, ...], Field(strict=False), AfterValidator(_once)] = ()


class TurnShape(Shape):
    turn: Turns
    id: TurnId
    at: Instant
    state: ReplyState
    message: Text
    reply: Text
    output: Json = None
    requests: Requests = None
    merged: Annotated[tuple[TurnId, ...], Field(strict=False)] = ()

    def kept(self) -> KeptTurn:
        said = self.message, self.reply, self.at, self.state
        json = self.json_of(JSON_OF_TURN)
        output, requests = json.get("output"), json.get("requests")
        return KeptTurn(self.turn, self.id, *said, output, requests, self.merged)


class EndedShape(Shape):
    ended: TurnId
    at: Instant
    state: EndState
    number: Count = 0
    priority: Count = 3
    strategy: Text | None = None
    key: Text | None = None
    digest: Text | None = None
    attempts: Count = 0
    request_id: Text = ""
    traceparent: Text = ""
    cause: Text | None = None
    detail: Text = ""
    outcome: Outcome = "unknown"
    retry_after_s: Seconds | None = None
    waited_s: Seconds = 0.0
    ran_s: Seconds = 0.0

    @model_validator(mode="after")
    def _has_a_reply_or_a_cause(self) -> Self:
        replied = self.number > 0 and self.state in (State.ANSWERED, State.INTERRUPTED)
        failed = self.number == 0 and self.state is not State.ANSWERED
        if replied if self.cause is None else failed:
            return self
        raise PydanticCustomError("ending", "its state, number and cause do not fit together")

    def kept(self, conversation: str) -> AcceptedTurn:
        ending = Ending(**{name: getattr(self, name) for name in OF_ENDING})
        given = {name: getattr(self, name) for name in OF_ACCEPTED}
        return AcceptedTurn(self.ended, conversation, "", self.at, **given, ending=ending)


class End(Shape):
    end: Literal[True]
    conversations: Count
    turns: Count


Line = ConversationShape | TurnShape | EndedShape | End

KINDS: dict[str, type[Line]] = {
    "conversation": ConversationShape,
    "turn": TurnShape,
    "ended": EndedShape,
    "end": End,
}
"""By the member that a line of this kind has, and no other kind."""
