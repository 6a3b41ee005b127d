"""From the name in the settings to the strategy's class."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any, cast

from .base import Strategy
from .interrupt import Interrupt
from .lock import Lock
from .merge import Merge
from .queue import Queue
from .reject import Reject

GROUP = "runner.strategies"
"""The entry point group in which a package may offer strategies of its own, each by a name."""

BUILT_IN: dict[str, type[Strategy]] = {
    "queue": Queue,
    "lock": Lock,
    "reject": Reject,
    "interrupt": Interrupt,
    "merge": Merge,
}

Factory = Callable[..., Strategy]
"""Called as `factory(answer, limits, **options)`."""


class UnknownStrategy(ValueError):
    """No strategy goes by this name."""


def find(name: str) -> Factory:
    """The strategy called `name`: a built-in, an entry point, or `package.module:Class`.

    Raises UnknownStrategy, whose text lists the known names or says what is
    wrong with the dotted one. What a strategy's own module raises when it is
    imported passes through, but for its own absence.
    """
    if ":" in name:
        return _import(name)
    if name in BUILT_IN:
        return BUILT_IN[name]
    for entry in entry_points(group=GROUP, name=name):
        return cast(Factory, entry.load())
    known = names()
    close = get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UnknownStrategy(
        f"there is no strategy {name!r}.{hint} Known: {', '.join(known)}, "
        "or one of your own as package.module:Class"
    )


def names() -> dict[str, str]:
    """Each known name with one line about it; for an entry point, where it comes from."""
    described = {name: _first_line(strategy) for name, strategy in BUILT_IN.items()}
    for entry in entry_points(group=GROUP):
        described.setdefault(entry.name, f"from {entry.value}")
    return described


def _import(name: str) -> Factory:
    module_name, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # Something that the module itself imports is missing.
        raise UnknownStrategy(f"strategy {name!r}: there is no module {error.name!r}") from error
    for attribute in path.split("."):
        if not hasattr(found, attribute):
            raise UnknownStrategy(f"strategy {name!r}: {module_name} has no {path!r}")
        found = getattr(found, attribute)
    if not callable(found):
        raise UnknownStrategy(f"strategy {name!r}: {path!r} is not a class")
    return cast(Factory, found)


def _first_line(strategy: type[Strategy]) -> str:
    return (strategy.__doc__ or "").strip().partition("\n")[0]
