"""What is wrong with a setting: key, source, value, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from pydantic_core import ErrorDetails

from runner.config.masking import shown
from runner.settings import FIELDS, Key

PREFIX = "RUNNER_"

KINDS = {
    "tuple_type": "should be a list",
    "model_type": "should be a table",
    "dict_type": "should be a table",
}


def complaint(details: ErrorDetails, source_of: Callable[[Key], str]) -> str:
    """One line about one error of the models."""
    path = tuple(part for part in details["loc"] if isinstance(part, str))
    if details["type"] == "unguarded":
        source, host = source_of(("server", "host")), details.get("ctx", {})["host"]
        host = shown(("server", "host"), host)
        return f"server.host (from {source}) is {host!r}, which {details['msg']}"
    source = source_of(path)
    where = f"{'.'.join(path)} (from {source})"
    if details["type"] == "extra_forbidden":
        name = source if source.startswith(PREFIX) else where
        return f"{name} is no setting; {_did_you_mean(path, source)}"
    text = KINDS.get(details["type"]) or details["msg"].removeprefix("Input ").removeprefix(
        "String "
    )
    value = repr(shown(path, details["input"]))
    value = value if len(value) <= 60 else f"{value[:57]}..."
    return f"{where} is {value} and {text}"


def _did_you_mean(path: Key, source: str) -> str:
    table = path[:1] if path[:1] in FIELDS else ()
    start = len(table)
    names = {".".join(known[start:]): known for known in FIELDS if known[:start] == table}
    alike = get_close_matches(".".join(path[start:]), names, n=1)
    close = [known for known in FIELDS if known[-1] == path[-1]] or [names[one] for one in alike]
    if not close:
        return "`runner config show` lists all there are"
    in_environment = source.startswith(PREFIX)
    spelt = PREFIX + "__".join(close[0]).upper() if in_environment else ".".join(close[0])
    return f"did you mean {spelt}?"
