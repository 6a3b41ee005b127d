"""Accepted turns as rows: the columns go by the names of the fields, and NULL is the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from runner.store.base import AcceptedTurn, Ending
from strategies import State

TURN = [field.name for field in fields(AcceptedTurn) if field.name != "ending"]
OF_HISTORY = ("reply", "output", "requests")
ENDING = [field.name for field in fields(Ending) if field.name not in OF_HISTORY]


def accepted(row: Mapping[str, Any]) -> AcceptedTurn:
    """The turn of a row, or of one that is joined with its turn in the history."""
    known: dict[str, Any] = {name: value for name, value in row.items() if value is not None}
    turn = AcceptedTurn(**{name: known[name] for name in TURN if name in known})
    if "state" not in known:
        return turn
    known["state"] = State(known["state"])
    ending = {name: known[name] for name in (*ENDING, *OF_HISTORY) if name in known}
    return replace(turn, ending=Ending(**ending))
