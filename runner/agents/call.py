"""How one's own function or object is called: found out once, before it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeGuard, cast

from runner.agents.base import Json

METHODS = ("answer", "respond", "reply", "chat", "run", "invoke", "__call__")
"""What an agent that is an object may call its one method; the first of these that it has."""

STATE = ("get_state", "set_state")
"""The methods of an object whose state is kept with the history."""

KNOWN = ("message", "history", "parts")
"""What an agent may be given, by these names. `parts` is given to nothing of another name."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """Which of KNOWN a function is given, in which order and by which name."""

    by_position: tuple[str, ...]
    by_name: dict[str, str]

    def __contains__(self, known: str) -> bool:
        return known in self.by_position or known in self.by_name.values()


@dataclass(frozen=True, slots=True)
class Call:
    """How a function or an object is called, and in which words to say so."""

    function: Callable[..., Any]
    arguments: Arguments
    is_async: bool
    is_method: bool
    kind: str
    get_state: Callable[[], Any] | None = None
    set_state: Callable[[Json], Any] | None = None


def as_call(target: object) -> Call | None:
    """How to call it; None where it cannot be."""
    function, noun = cast("Callable[..., Any]", target), ""
    if not is_function(target):
        name = next((name for name in METHODS if callable(getattr(target, name, None))), None)
        if name is None:
            return None
        function, noun = getattr(target, name), f" ({type(target).__name__}.{name})"
    arguments = _arguments(function)
    if arguments is None:
        return None
    if inspect.isasyncgenfunction(function):
        kind, is_async = f"async generator{noun}", True
    elif inspect.iscoroutinefunction(function):
        kind, is_async = f"async function{noun}", True
    else:
        sync = "generator" if inspect.isgeneratorfunction(function) else "function"
        kind, is_async = f"sync {sync}{noun}, run in threads", False
    keeper = keeper_of(target)
    methods = [None, None] if lacks_state(keeper) else [getattr(keeper, name) for name in STATE]
    return Call(function, arguments, is_async, keeper is not None, kind, *methods)


def keeper_of(target: object) -> object | None:
    """The object that remembers what is said to it; None for a function, and a class's method."""
    if is_function(target):
        target = target.__self__ if inspect.ismethod(target) else None
    return None if inspect.isclass(target) else target


def lacks_state(keeper: object) -> list[str]:
    """Which of STATE it does not have."""
    return [name for name in STATE if not callable(getattr(keeper, name, None))]


def is_function(target: object) -> TypeGuard[Callable[..., Any]]:
    """Also a method, or either with some arguments given already."""
    return inspect.isroutine(target) or isinstance(target, partial)


def wanted_parameters(function: Callable[..., Any]) -> list[str] | None:
    """What must be given, and what is known and may be; None where that cannot be seen."""
    if (parameters := _parameters(function)) is None:
        return None
    return [one.name for one in parameters if _is_wanted(one)]


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """A wrapper that takes `*args` is believed to pass on message and history."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        only = inspect.Parameter.POSITIONAL_ONLY
        return [inspect.Parameter(name, only) for name in ("message", "history")]
    given = function.keywords if isinstance(function, partial) else {}
    return [one for one in parameters if one.kind is not one.VAR_KEYWORD and one.name not in given]


def _is_wanted(parameter: inspect.Parameter) -> bool:
    return parameter.name in KNOWN or parameter.default is parameter.empty


def _arguments(function: Callable[..., Any]) -> Arguments | None:
    """By their names those that are known; others are the message, and the history after it."""
    parameters = _parameters(function) or []
    wanted = [one for one in parameters if _is_wanted(one)]
    if any(one.kind is one.KEYWORD_ONLY and one.name not in KNOWN for one in wanted):
        return None
    names = _names([one.name for one in wanted])
    if names is None:
        return None
    by_position: list[str] = []
    by_name: dict[str, str] = {}
    for place, one in enumerate(parameters):
        if one.name not in names:
            continue
        if place == len(by_position) and one.kind is not one.KEYWORD_ONLY:
            by_position.append(names[one.name])
        elif one.kind is one.POSITIONAL_ONLY:
            return None
        else:
            by_name[one.name] = names[one.name]
    return Arguments(tuple(by_position), by_name)


def _names(wanted: Sequence[str]) -> dict[str, str] | None:
    """For each parameter what it is given; None where there is too much or no message."""
    left = [known for known in ("message", "history") if known not in wanted]
    names = {name: name for name in wanted if name in KNOWN}
    for name in wanted:
        if name not in KNOWN:
            if not left:
                return None
            names[name] = left.pop(0)
    return names if "message" in names.values() else None
