"""What `server.py` asks of the library that carries HTTP, and where it is found."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import Any, Protocol

from runner.server.listener import Listener
from runner.settings import HttpLibrary, ServerSettings

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


class NotInstalled(Exception):
    """server.http is "uvicorn", which is not installed: pip install "turnline[uvicorn]"."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def http_server(name: HttpLibrary) -> HttpServer:
    """The module for the setting `server.http`. Raises NotInstalled."""
    if name == "uvicorn":
        if find_spec("uvicorn") is None:
            raise NotInstalled
        from runner.server import uvicorn

        return uvicorn
    from runner.server import hypercorn

    return hypercorn
