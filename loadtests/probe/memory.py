"""What an agent visibly remembers: the lists that have our messages in them.

Looked for in the agent's own object and in the globals of its module, two levels
deep. A session that is kept elsewhere (a database, a C library) is not seen; the
agent's next reply has to tell then.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

from runner.agents.base import Agent

MARK = re.compile(r"\bmark-(\d+)\b")
DEPTH = 3
MOST = 200
"""Entries that are looked at, of each container."""


def message(number: int) -> str:
    """The n-th message of a trial, which can be found again wherever it is kept."""
    return f"This is mark-{number}. Please answer in one short sentence."


def snapshot(agent: Agent) -> dict[str, list[str]]:
    """Each list that mentions a mark, by its name: `Agent.messages` -> its entries as text."""
    found: dict[str, list[str]] = {}
    seen: set[int] = set()
    for name, root in _roots(agent):
        for path, entries in _lists(root, name, DEPTH, seen):
            texts = [_text(entry) for entry in entries]
            if any(MARK.search(text) for text in texts):
                found[path] = texts
    return found


def _roots(agent: Agent) -> Iterator[tuple[str, object]]:
    """The objects whose methods are called, and the module of the target."""
    kept: Mapping[str, Any] = getattr(agent, "kept", {})
    callees = [*kept.values(), *filter(None, [getattr(agent, "callee", None)])]
    for callee in callees:
        owner = getattr(callee.function, "__self__", None)
        if owner is not None and not isinstance(owner, ModuleType):
            yield type(owner).__name__, owner
    module = sys.modules.get(agent.about.target.partition(":")[0])
    for name, value in vars(module).items() if module else ():
        if not name.startswith("__") and not isinstance(value, (ModuleType, FunctionType, type)):
            yield name, value


def _lists(
    value: object, path: str, depth: int, seen: set[int]
) -> Iterator[tuple[str, Iterable[object]]]:
    if id(value) in seen or depth < 0:
        return
    seen.add(id(value))
    if isinstance(value, (list, tuple)):
        yield path, value[:MOST]
    elif isinstance(value, Mapping):
        for key, item in list(value.items())[:MOST]:
            yield from _lists(item, f"{path}[{str(key)[:40]!r}]", depth - 1, seen)
    elif hasattr(value, "__dict__"):
        for name, item in list(vars(value).items())[:MOST]:
            yield from _lists(item, f"{path}.{name}", depth - 1, seen)


def _text(entry: object) -> str:
    """The entry in words; its `repr` is somebody's code, and may raise."""
    try:
        return str(entry)[:500]
    except Exception as error:
        return f"({type(error).__name__})"
