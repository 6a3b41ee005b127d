"""What there is to know of a framework, and what its adapter does."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from runner.agents.base import Answered, Asked, Emit

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls a function in a thread of the turn, and gives what it gives or raises."""

Names = frozenset[tuple[str, str]]
"""Classes, each by its module and its name: nothing is imported to be compared with."""


class Adapter(Protocol):
    """A framework's agent as something that answers. Made once for each object.

    `answer` is `Agent.answer` without its guarantees: it may raise whatever the framework
    raises, and cancelled, it ends with nothing of the framework's left running. It reads
    nothing of earlier turns but `asked.state`, and leaves the user's object as it found it,
    or else its framework is not `shared` and every call begins with loading `asked.state`.
    """

    async def answer(self, asked: Asked, emit: Emit) -> Answered: ...


class Unsupported(Exception):
    """The object is recognised, but cannot be asked; the text says which wrapper would work."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework.

    name       as people call it.
    package    what pip installs.
    version    the one that was tried.
    classes    whose instances are agents, subclasses' too.
    adapt      makes an adapter for an agent. Raises Unsupported. It imports the framework, which
               is there, since somebody has made an agent with it.
    is_shared  one object may answer in several conversations at once.
    asks       it may need a person: `input_required`.
    takes      the kinds of parts that it takes beside text.
    takes_urls  it takes them by a `url` too, and not only their data.
    refused    classes that are recognised but cannot be asked, with what to do instead.
    """

    name: str
    package: str
    version: str
    classes: Names
    adapt: Callable[[Any, InThread], Adapter]
    is_shared: bool = True
    uses_threads: bool = False
    asks: bool = False
    takes: frozenset[str] = frozenset()
    takes_urls: bool = True
    refused: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])


def quiet(logger: str) -> None:
    """Warnings only, of one that logs each call; unless the user's module has set its level."""
    if (named := logging.getLogger(logger)).level == logging.NOTSET:
        named.setLevel(logging.WARNING)


def load(module: str) -> Any:
    """A module of a framework's. Typed so, since not every framework is there to be checked."""
    return import_module(module)
