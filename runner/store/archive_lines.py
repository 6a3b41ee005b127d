"""The file of an export: JSON Lines, UTF-8. docs/export.md describes it for other programs.

    {"format": "turnline conversations", "version": 1, ...}     the first line
    {"conversation": "ann/c", "turns": 2, ...}                  then, for each conversation,
    {"turn": 1, "id": "...", "at": "...", ...}                  its turns in order
    {"turn": 2, ...}
    {"ended": "...", "at": "...", ...}                          and its accepted turns
    {"end": true, "conversations": 1, "turns": 2}               the last line

What agents keep as JSON stands in it as JSON, and is absent where they keep nothing.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json

import runner
from runner.store.archive import KeptConversation, KeptTurn
from runner.store.base import AcceptedTurn, AgentState, Ending

FORMAT = "turnline conversations"
VERSION = 1

JSON_OF_STATE = ("state", "requests", "before")
JSON_OF_TURN = ("output", "requests")

OF_ACCEPTED = ("priority", "strategy", "key", "digest", "attempts", "request_id", "traceparent")
OF_ENDING = (
    "state", "number", "cause", "detail", "outcome", "retry_after_s", "waited_s", "ran_s",
)  # fmt: skip
"""What is written of an accepted turn that has ended, where it is not the default."""

DEFAULTS = {field.name: field.default for kind in (AcceptedTurn, Ending) for field in fields(kind)}


def header(now: float) -> bytes:
    """The first line; `now` in seconds since 1970."""
    about = {"program": runner.__version__, "exported_at": instant(now)}
    return line({"format": FORMAT, "version": VERSION, **about})


def end(conversations: int, turns: int) -> bytes:
    """The last line."""
    return line({"end": True, "conversations": conversations, "turns": turns})


def beginning(conversation: KeptConversation) -> bytes:
    """The line before a conversation's parts."""
    content: dict[str, object] = {
        "conversation": conversation.id,
        "turns": conversation.last,
    }
    if conversation.said is not None:
        content["said"] = conversation.said
    content["states"] = [
        {"form": left.form, **_json_of(left, JSON_OF_STATE)} for left in conversation.states
    ]
    return line(content)


def of_part(part: KeptTurn | AcceptedTurn) -> bytes:
    return _of_turn(part) if isinstance(part, KeptTurn) else _of_accepted(part)


def instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def line(content: dict[str, object]) -> bytes:
    # An agent's state may hold NaN, which JSON has not and Python reads.
    return to_json(content, inf_nan_mode="constants") + b"\n"


def _of_turn(turn: KeptTurn) -> bytes:
    content: dict[str, object] = {
        "turn": turn.number,
        "id": turn.id,
        "at": instant(turn.kept_at),
        "state": turn.state.value,
        "message": turn.message,
        "reply": turn.reply,
        **_json_of(turn, JSON_OF_TURN),
    }
    if turn.merged:
        content["merged"] = turn.merged
    return line(content)


def _of_accepted(turn: AcceptedTurn) -> bytes:
    content: dict[str, object] = {"ended": turn.id, "at": instant(turn.accepted_at)}
    for of, names in ((turn, OF_ACCEPTED), (turn.ending, OF_ENDING)):
        values = ((name, getattr(of, name)) for name in names)
        content |= {name: value for name, value in values if value != DEFAULTS[name]}
    return line(content)


def _json_of(kept: KeptTurn | AgentState, names: tuple[str, ...]) -> dict[str, Any]:
    """What is null is there, and what is not kept is absent."""
    texts = ((name, getattr(kept, name)) for name in names)
    return {name: from_json(text) for name, text in texts if text is not None}
