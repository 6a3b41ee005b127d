"""What is wrong with a setting: key, source, value, and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Protocol

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from runner.config.masking import shown
from runner.settings import Settings

KINDS = {
    "tuple_type": "should be a list",
    "model_type": "should be a table",
    "dict_type": "should be a table",
}


class Sourced(Protocol):
    """A value as somebody gave it."""

    @property
    def source(self) -> str: ...


def complaint(details: ErrorDetails, given: Mapping[tuple[str, ...], Sourced]) -> str:
    """One line about one error of the models."""
    path = tuple(part for part in details["loc"] if isinstance(part, str))
    if details["type"] == "unguarded":
        context: Mapping[str, Any] = details.get("ctx", {})
        source = _source(("server", "host"), given)
        return f"server.host (from {source}) is {context['host']!r}, which {details['msg']}"
    key, source = ".".join(path), _source(path, given)
    if details["type"] == "extra_forbidden":
        hint = _did_you_mean(path, source)
        if source.startswith("RUNNER_"):
            return f"{source} is no setting; {hint}"
        return f"{key} (from {source}) is no setting; {hint}"
    text = KINDS.get(details["type"]) or details["msg"].removeprefix("Input ")
    value = repr(shown(path, details["input"]))
    value = value if len(value) <= 60 else f"{value[:57]}..."
    return f"{key} (from {source}) is {value} and {text}"


def _source(path: tuple[str, ...], given: Mapping[tuple[str, ...], Sourced]) -> str:
    """Who gave the value at this path, or one inside it."""
    for known, one in given.items():
        shorter = min(len(path), len(known))
        if known[:shorter] == path[:shorter]:
            return one.source
    return "default"


def _did_you_mean(path: tuple[str, ...], source: str) -> str:
    known = list(known_paths())
    close = [".".join(one) for one in known if one[-1] == path[-1]]
    if not close and len(path) > 1 and path[:1] in known:
        keys = [one[1] for one in known if one[:-1] == path[:1]]
        close = [f"{path[0]}.{key}" for key in get_close_matches(path[1], keys, n=1)]
    elif not close:
        close = get_close_matches(".".join(path), map(".".join, known), n=1)
    if not close:
        return "`runner config show` lists all there are"
    in_environment = source.startswith("RUNNER_")
    spelt = "RUNNER_" + close[0].upper().replace(".", "__") if in_environment else close[0]
    return f"did you mean {spelt}?"


def known_paths() -> Iterator[tuple[str, ...]]:
    """Tables and keys, in the order of the models."""
    for table, field in Settings.model_fields.items():
        yield (table,)
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from ((table, key) for key in model.model_fields)
