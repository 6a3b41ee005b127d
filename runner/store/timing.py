"""How long a store takes for what it is asked, told by the store itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any, Literal, Protocol, TypeVar, cast, get_args

Operation = Literal[
    "accept", "agent_state", "begin", "commit", "end", "find", "forget", "history", "prune",
]  # fmt: skip
"""What is timed: `find` is any look for turns and conversations, `history` any of an agent's reads.

Not timed is what is done at the start, and for webhooks.
"""

OPERATIONS: tuple[Operation, ...] = get_args(Operation)

Took = Callable[[Operation, float], object]
"""Is told, in the thread in which that was, an operation and the seconds that it took."""


class Timed(Protocol):
    @property
    def took(self) -> Took: ...


F = TypeVar("F", bound=Callable[..., Any])


def untold(operation: Operation, seconds: float) -> None:
    """A `Took` for a store that nobody watches."""


def timed(operation: Operation) -> Callable[[F], F]:
    """For a method of a store: have `took` be told how long each call took, a failed one too."""

    def around(method: F) -> F:
        @wraps(method)
        async def wait(self: Timed, *args: Any, **named: Any) -> Any:
            began = perf_counter()
            try:
                return await method(self, *args, **named)
            finally:
                self.took(operation, perf_counter() - began)

        @wraps(method)
        def call(self: Timed, *args: Any, **named: Any) -> Any:
            began = perf_counter()
            try:
                return method(self, *args, **named)
            finally:
                self.took(operation, perf_counter() - began)

        return cast("F", wait if iscoroutinefunction(method) else call)

    return around
