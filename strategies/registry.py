"""From the name in the settings to the strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import partial
from importlib.metadata import entry_points
from inspect import Parameter, signature
from types import MappingProxyType
from typing import Any, Literal, cast

from .base import Answer, Limits, Strategy
from .lock import Lock
from .naming import NothingNamed, did_you_mean, find_named, respelt
from .queue import AGEING_S, MAX_MERGED_BYTES, Policy, Queue, Waiting, one_of
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
    max_merged_bytes: int = MAX_MERGED_BYTES,
    ageing_s: float = AGEING_S,
) -> Queue:
    """The newest message stops the running turn; its words so far are kept or rolled back."""
    policies: dict[str, Policy] = {"keep": "interrupt", "rollback": "rollback"}
    one_of("said", said, policies)
    return Queue(
        answer,
        limits,
        on_busy=policies[said],
        waiting=waiting,
        max_merged_bytes=max_merged_bytes,
        ageing_s=ageing_s,
    )


def merge(
    answer: Answer,
    limits: Limits,
    *,
    joined_by: str = "\n\n",
    max_merged_bytes: int = MAX_MERGED_BYTES,
    ageing_s: float = AGEING_S,
) -> Queue:
    """Turns wait as in the queue; when their conversation is free, all of them run as one."""
    return Queue(
        answer,
        limits,
        on_busy="merge",
        joined_by=joined_by,
        max_merged_bytes=max_merged_bytes,
        ageing_s=ageing_s,
    )


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
    name: str,
    answer: Answer,
    limits: Limits,
    options: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] = MappingProxyType({}),
    per_turn: bool = False,
) -> Strategy:
    """The strategy called `name`, made. Raises as `find`, and TypeError for an unknown option.

    defaults  options for those that take them, where `options` says nothing.
    """
    factory = find(name, per_turn=per_turn)
    try:
        expected = signature(factory)
    except ValueError:  # Compiled code need not tell what it takes.
        return factory(answer, limits, **options)
    taken = {key: value for key, value in defaults.items() if key in expected.parameters}
    options = {**taken, **options}
    try:
        expected.bind(answer, limits, **options)
    except TypeError:
        raise TypeError(_refusal(expected.parameters, options)) from None
    return factory(answer, limits, **options)


def _refusal(takes: Mapping[str, Parameter], options: Mapping[str, Any]) -> str:
    """Why a strategy that takes these cannot be made with the options."""
    named = {name: one for name, one in [*takes.items()][2:] if one.kind is not one.VAR_KEYWORD}
    its_own = f"its options: {', '.join(sorted(named)) or 'none'}"
    for name in sorted(options.keys() - named.keys()):
        return f"there is no option {name!r}{did_you_mean(name, named)}; {its_own}"
    for name, one in named.items():
        if one.default is one.empty and name not in options:
            return f"the option {name!r} is missing; {its_own}"
    return "it must take (answer, limits), and its options by name"


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
    meant = get_close_matches(name, known, n=1) or [respelt(name, "Class")]
    hint = f" Did you mean {meant[0]!r}?" if meant[0] else ""
    raise UnknownStrategy(
        f"there is no strategy {name!r}.{hint} Known: {', '.join(known)}, "
        "or one of your own as package.module:Class"
    )


def limits_of(name: str, *, per_turn: bool = False) -> frozenset[str]:
    """The names of the limits that the strategy takes: what it says, else all. Raises as `find`."""
    every = frozenset(limit.name for limit in fields(Limits))
    return getattr(find(name, per_turn=per_turn), "uses", every)


def names() -> dict[str, str]:
    """Each known name with one line about it; for an entry point, where it comes from."""
    described = {name: (made.__doc__ or "").partition("\n")[0] for name, made in BUILT_IN.items()}
    for entry in entry_points(group=GROUP):
        described.setdefault(entry.name, f"from {entry.value}")
    return described


def _import(name: str) -> Factory:
    try:
        found = find_named(name, noun="class ", usual="Class")
    except NothingNamed as error:
        raise UnknownStrategy(f"strategy {name!r}: {error}") from error
    if not callable(found):
        module_name, _, path = name.partition(":")
        raise UnknownStrategy(f"strategy {name!r}: {module_name} has no class {path!r}")
    return cast(Factory, found)
