"""asyncio's own threads, in which frameworks run tools that are plain functions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

MOST = 256


class AgentsExecutor(ThreadPoolExecutor):
    """More of them than asyncio's four, and one for each processor.

    Nobody can stop them, or knows which of them hang. A tool that never returns takes one, as
    often as it is called, and without threads the tools of all conversations would stand still.
    """

    def __init__(self) -> None:
        super().__init__(MOST, thread_name_prefix="asyncio")

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        return super().submit(_call, function, *arguments, **named)


def _call(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """On Python 3.11 a StopIteration would never reach its waiter, which a GeneratorExit closes."""
    try:
        return function(*arguments, **named)
    except (StopIteration, GeneratorExit) as error:
        raise RuntimeError(f"a function in a thread raised {type(error).__name__}") from error
