"""The agent that will not stop, for tests."""

from __future__ import annotations

import asyncio


async def ignore_cancellation(seconds: float) -> None:
    """Take this long, however often the task is cancelled meanwhile."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + seconds
    while loop.time() < ends_at:
        try:
            await asyncio.sleep(ends_at - loop.time())
        except asyncio.CancelledError:
            continue
