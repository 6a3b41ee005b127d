"""Uvicorn's protocols carry HTTP, with httptools and uvloop where they are installed.

Its `Server` is not used: it takes the signals and cannot wait for a drain.
"""

from __future__ import annotations

import asyncio
import logging
from email.utils import formatdate
from typing import Any, cast

from uvicorn import Config
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import ServerState

from runner.server import wait_while
from runner.server.listener import BACKLOG, Listener
from runner.server.tls import context_of
from runner.settings import ServerSettings

try:
    from uvloop import new_event_loop
except ModuleNotFoundError:
    from asyncio import new_event_loop  # type: ignore[assignment]
try:
    from runner.server.uvicorn_httptools import HttpTools as Http
except ModuleNotFoundError:
    from runner.server.uvicorn_protocols import H11 as Http  # type: ignore[assignment]

__all__ = ["new_event_loop", "serve"]


class State(ServerState):
    """uvicorn's, with the cap on connections."""

    most = 0


async def serve(
    app: Any, settings: ServerSettings, listener: Listener, ended: asyncio.Event
) -> None:
    config = _config(app, settings)
    lifespan = LifespanOn(config)
    await lifespan.startup()
    if lifespan.should_exit:
        raise RuntimeError("the app could not be started")
    loop = asyncio.get_running_loop()
    state = State()
    state.most = listener.most
    context = context_of(settings)
    server = await loop.create_server(
        lambda: Http(config, state, lifespan.state, loop),
        sock=listener,
        backlog=BACKLOG,
        ssl=context,
        ssl_handshake_timeout=None if context is None else settings.header_timeout_s,
    )
    ending = asyncio.create_task(ended.wait())
    while not ending.done():
        # Once a second, and not for each answer.
        state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        await asyncio.wait((ending,), timeout=1.0)
    server.close()
    await _close_connections(cast("set[Any]", state.connections))
    await lifespan.shutdown()


async def _close_connections(connections: set[Any]) -> None:
    for connection in [*connections]:
        connection.shutdown()
    await wait_while(lambda: connections)
    for connection in [*connections]:
        connection.transport.abort()


def _config(app: Any, settings: ServerSettings) -> Config:
    # Not its warnings: a stranger's bad request would be a line in the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = Config(
        app,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=cast(Any, settings.header_timeout_s),
    )
    config.load()
    return config
