"""What `server.py` asks of the library that carries HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from runner.server.listener import Listener
from runner.settings import ServerSettings

CLOSE_S = 0.2
"""For answers that are on their way, and then for connections to close."""


class HttpServer(Protocol):
    """A module with these two functions."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop: ...

    async def serve(
        self, app: Any, settings: ServerSettings, listener: Listener, ended: asyncio.Event
    ) -> None:
        """Answer until `ended` is set, then close every connection and return.

        A connection whose answer is on its way may take CLOSE_S. No signal is handled,
        and the app is told of start and end (ASGI's lifespan) once.
        """
        ...


async def wait_while(busy: Callable[[], object]) -> None:
    """For CLOSE_S at most."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + CLOSE_S
    while busy() and loop.time() < ends_at:
        await asyncio.sleep(0.005)
