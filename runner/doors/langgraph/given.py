"""What a client gave in JSON, where it may be anything."""

from __future__ import annotations

from typing import Any, cast


def as_dict(value: object) -> dict[str, Any]:
    """The object, or an empty one where it is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[object] | None:
    return cast("list[object]", value) if isinstance(value, list) else None
