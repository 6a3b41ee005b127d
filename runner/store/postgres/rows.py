"""Rows of the tables as what the store gives, and back: texts are bytes in UTF-8 there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.store.base import AcceptedTurn, Ending
from runner.store.rows import ENDING, TURN, accepted

TEXTS = ("message", "reply", "detail")
"""Columns of what people and agents say, which may hold U+0000."""


def values_of(turn: AcceptedTurn, *, lasting: bool = True) -> dict[str, Any]:
    """Of the columns in TURN, and `lasting`. Raises UnicodeError for a text that is none."""
    values = {name: getattr(turn, name) for name in TURN}
    return values | {"message": turn.message.encode(), "lasting": lasting}


def ended_values(turn_id: str, ending: Ending) -> dict[str, Any]:
    """Of the columns in ENDING, and `id`."""
    values = {name: getattr(ending, name) for name in ENDING}
    return values | {"id": turn_id, "detail": ending.detail.encode()}


def turn_of(row: Mapping[str, Any]) -> AcceptedTurn:
    """An accepted turn, or one of the history with the same columns."""
    texts = {name: row[name].decode() for name in TEXTS if row.get(name) is not None}
    return accepted({**row, **texts})


def said_in(row: Mapping[str, Any]) -> tuple[str, str]:
    """A turn's message and reply."""
    return row["message"].decode(), row["reply"].decode()
