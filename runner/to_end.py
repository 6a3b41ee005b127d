"""Waiting for what must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def to_end(awaitable: Awaitable[T]) -> tuple[T, asyncio.CancelledError | None]:
    """Wait for the end, however often the waiting task is cancelled meanwhile.

    Gives the result, and the last of the cancellations for the caller to heed
    or not; raises what the awaitable raises.
    """
    future = asyncio.ensure_future(awaitable)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError as error:
            if future.cancelled():
                raise
            cancelled = error
        except BaseException:
            break  # The future's own, raised again below.
    return future.result(), cancelled
