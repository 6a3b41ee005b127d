"""Answers that are lists, or say how long one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.api.exchange import Answer, to_json
from runner.api.problems import wrong_field

PAGE = 10
JSON = (("content-type", "application/json"),)


def page(asked: Mapping[str, Any]) -> tuple[int, int]:
    """`offset` and `limit`, of a body or a query. Raises RequestError."""
    return _count(asked, "offset", 0), _count(asked, "limit", PAGE)


def _count(asked: Mapping[str, Any], name: str, default: int) -> int:
    value = asked.get(name, default)
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise wrong_field(f"/{name}", f"{name} is a whole number.")
    return int(text)


def listed(items: Sequence[Any], asked: Mapping[str, Any]) -> Answer:
    """The page of them that is asked for."""
    offset, limit = page(asked)
    shown = items[offset : offset + limit]
    return Answer(200, JSON, to_json(shown))


def counted(items: Sequence[Any]) -> Answer:
    return Answer(200, JSON, to_json(len(items)))
