"""What agents give as JSON: their state, output, requests, and what their tools gave."""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

NotFinite = Literal["null", "constants"]
"""What stands for a number that JSON does not have."""

SCALARS = frozenset({str, int, float, bool, type(None)})


class Unusable(Exception):
    """What came back is no reply. Our own words; an agent's AgentFailed holds the agent's."""


def encoded(noun: str, value: object, not_finite: NotFinite = "null") -> bytes:
    """As JSON. Raises Unusable for what is none."""
    if (found := iterator_in(value)) is not None:
        kind = type(found).__name__
        raise Unusable(f"The agent's {noun} is no JSON: a {kind} is in it. Make it a list.")
    try:
        return to_json(value, inf_nan_mode=not_finite)
    except (PydanticSerializationError, UnicodeError, ValueError, RecursionError) as error:
        raise Unusable(f"The agent's {noun} is no JSON: {error}") from error


def iterator_in(value: object) -> Iterator[object] | None:
    """One that an encoder would run, here on the event loop. Some have no end."""
    for part in _fields(value) or (value,):
        if not _is_plain(part) and (found := _found_in(part)) is not None:
            return found
    return None


def too_long(noun: str, most: int, setting: str) -> Unusable:
    return Unusable(
        f"The agent's {noun} is longer than {most} bytes, which is the bound that "
        f"[agent] {setting} sets."
    )


def _is_plain(value: Any) -> bool:
    """Whether it is of built-in types alone, which hold no iterator.

    At most what the encoder itself takes for them; a walk in Python takes more than that again.
    """
    try:
        marshal.dumps(value)
    except ValueError:
        return False
    return True


def _found_in(value: object) -> Iterator[object] | None:
    left, seen = [value], dict[int, object]()
    while left:
        one = left.pop()
        if isinstance(one, Iterator):
            return cast("Iterator[object]", one)
        if id(one) not in seen:
            seen[id(one)] = one
            left.extend(inner for inner in _within(one) if type(inner) not in SCALARS)
    return None


def _within(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[object, object]", value).values()
    if isinstance(value, list | tuple | set | frozenset):
        return cast("Iterable[object]", value)
    return _fields(value)


def _fields(value: object) -> list[object]:
    """Of a model or a dataclass."""
    if isinstance(value, BaseModel):
        return [*value.__dict__.values(), *(value.model_extra or {}).values()]
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, one.name, None) for one in fields(value)]
    return []
