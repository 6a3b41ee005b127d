"""From the name in the settings to the strategy."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from importlib.metadata import entry_points
from inspect import signature
from typing import Any, Literal, cast

from .base import Answer, Limits, Strategy
from .lock import Lock
from .modules import hidden_here
from .queue import AGEING_S, Policy, Queue, Waiting, one_of
from .reject import Reject

GROUP = "runner.strategies"
"""The entry point group in which a package may offer strategies of its own, each by a name."""

Factory = Callable[..., Strategy]
"""Called as `factory(answer, limits, **options)`."""


def interrupt(
    answer: Answer,
    limits: Limits,
    *,
    said: Literal["keep", "rollback"] = "keep",
    waiting: Waiting = "drop",
    ageing_s: float = AGEING_S,
) -> Queue:
    """The newest message stops the running turn; its words so far are kept or rolled back."""
    policies: dict[str, Policy] = {"keep": "interrupt", "rollback": "rollback"}
    one_of("said", said, policies)
    return Queue(answer, limits, on_busy=policies[said], waiting=waiting, ageing_s=ageing_s)


def merge(
    answer: Answer, limits: Limits, *, joined_by: str = "\n\n", ageing_s: float = AGEING_S
) -> Queue:
    """Turns wait as in the queue; when their conversation is free, all of them run as one."""
    return Queue(answer, limits, on_busy="merge", joined_by=joined_by, ageing_s=ageing_s)


BUILT_IN: dict[str, Factory] = {
    "queue": Queue, "lock": Lock, "reject": Reject, "interrupt": interrupt, "merge": merge
}  # fmt: skip

PER_TURN: dict[str, Factory] = {
    "queue": Queue, "reject": partial(Queue, on_busy="reject"),
    "interrupt": interrupt, "merge": merge,
}  # fmt: skip
"""Those in which a turn may name a strategy; the server's own is for turns that name none."""


class UnknownStrategy(ValueError):
    """No strategy goes by this name."""


def make(
    name: str, answer: Answer, limits: Limits, options: Mapping[str, Any], *, per_turn: bool = False
) -> Strategy:
    """The strategy called `name`, made. Raises as `find`, and TypeError for an unknown option."""
    factory = find(name, per_turn=per_turn)
    try:
        expected = signature(factory)
    except ValueError:  # Compiled code need not tell what it takes.
        return factory(answer, limits, **options)
    try:
        expected.bind(answer, limits, **options)
    except TypeError as error:
        its_own = ", ".join(sorted([*expected.parameters][2:])) or "none"
        raise TypeError(f"{error}; its options: {its_own}") from None
    return factory(answer, limits, **options)


def find(name: str, *, per_turn: bool = False) -> Factory:
    """The strategy called `name`: a built-in, an entry point, or `package.module:Class`.

    per_turn  one that honours `Turn.strategy`. Raises ValueError where the named one does not.

    Raises UnknownStrategy, which says what is wrong with the name. What its module raises
    when it is imported passes through.
    """
    if per_turn and name not in PER_TURN:
        raise ValueError(
            f"turns may choose in {', '.join(PER_TURN)}, and not in {name!r}: "
            "the conversations of another strategy are its own"
        )
    if ":" in name:
        return _import(name)
    if name in BUILT_IN:
        return (PER_TURN if per_turn else BUILT_IN)[name]
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
    described = {name: (made.__doc__ or "").partition("\n")[0] for name, made in BUILT_IN.items()}
    for entry in entry_points(group=GROUP):
        described.setdefault(entry.name, f"from {entry.value}")
    return described


def _import(name: str) -> Factory:
    module_name, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        if hidden := hidden_here(error.name or "") or hidden_here(module_name):
            raise UnknownStrategy(f"strategy {name!r}: {hidden}") from error
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # Something that the module itself imports is missing.
        raise UnknownStrategy(f"strategy {name!r}: there is no module {error.name!r}") from error
    for attribute in path.split("."):
        found = getattr(found, attribute, None)
    if not callable(found):
        words = hidden_here(module_name) or f"{module_name} has no class {path!r}"
        raise UnknownStrategy(f"strategy {name!r}: {words}")
    return cast(Factory, found)
