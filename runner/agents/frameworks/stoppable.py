"""Calls that block, in a thread of the turn, which can be asked to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Any

from runner.agents.frameworks.framework import InThread


async def call_stoppable(in_thread: InThread, function: Callable[[Event], Any]) -> Any:
    """What the function gives in a thread. Cancelled, this sets its event and waits for its end."""
    stop = Event()
    call = asyncio.ensure_future(in_thread(lambda: function(stop)))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        stop.set()
        call.cancel()  # So that the thread is known to be given up, should it not heed the event.
        await asyncio.gather(call, return_exceptions=True)
        raise
