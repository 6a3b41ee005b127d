"""Calls that block, in a thread of the turn: pieces come out of it, a wish to stop goes in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event, get_ident
from typing import Any

from runner.agents.base import Emit, Progress
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


def from_threads(emit: Emit) -> Emit:
    """For any thread: hands on to the loop in which this was called, in order."""
    loop, thread = asyncio.get_running_loop(), get_ident()

    def hand_on(piece: str | Progress) -> None:
        if get_ident() == thread:
            emit(piece)
            return
        with suppress(RuntimeError):  # The loop is closed, and nobody listens any more.
            loop.call_soon_threadsafe(emit, piece)

    return hand_on
