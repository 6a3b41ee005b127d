"""Calls that do not simply end when they are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from threading import Event
from typing import Any

from runner.agents.frameworks.framework import InThread
from runner.agents.threads import Outcome, given, until_done
from strategies.engine import GIVE_UP_SLOT_S


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


async def call_insistently(call: Coroutine[Any, Any, Any]) -> Any:
    """What the call gives. Cancelled, this cancels it again every second, until it has ended.

    For frameworks that wait for their tasks: one that caught its cancellation may wait in turn
    for somebody who is gone. The second is for those that put things in order before they end.
    """
    work = asyncio.create_task(_outcome(call))
    try:
        return given(await asyncio.shield(work))
    except asyncio.CancelledError:
        await until_done(asyncio.create_task(_insist(work)))
        raise


async def _insist(work: asyncio.Task[Any]) -> None:
    while not work.done():
        work.cancel()
        await asyncio.wait([work], timeout=GIVE_UP_SLOT_S)


async def _outcome(call: Coroutine[Any, Any, Any]) -> Outcome:
    """As a value: a SystemExit that ends a task of its own comes out of the event loop."""
    try:
        return await call, None
    except BaseException as error:
        return None, error
