"""Tools that end the task in which they run, where nobody waits for that task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def failing(call: Awaitable[T]) -> T:
    """What the call gives. A SystemExit, or a CancelledError that nobody sent, is a RuntimeError.

    A framework that only expects Exceptions would wait for ever, and a SystemExit in
    a task of its own comes out of the event loop.
    """
    try:
        return await call
    except Exception:
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError(f"a tool raised {type(error).__name__}") from error
