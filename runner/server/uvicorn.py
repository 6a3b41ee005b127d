"""Uvicorn carries HTTP: its protocols, with httptools and uvloop where they are installed.

uvicorn's own `Server` is not used: it takes the signals, cannot wait for a drain, and looks
ten times a second whether it should end. What its protocols lack is in `uvicorn_protocols.py`.
"""

from __future__ import annotations

import asyncio
import logging
from email.utils import formatdate
from importlib.util import find_spec
from typing import Any, cast

from uvicorn import Config
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import ServerState

from runner.server.base import CLOSE_S
from runner.server.listener import BACKLOG, Listener
from runner.server.uvicorn_protocols import H11, Mended
from runner.settings import ServerSettings


def new_event_loop() -> asyncio.AbstractEventLoop:
    if find_spec("uvloop") is None:
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


def _protocol() -> type[Any]:
    if find_spec("httptools") is None:
        return H11
    from runner.server.uvicorn_httptools import HttpTools

    return HttpTools


class State(ServerState):
    """uvicorn's, with the cap on connections."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most


async def serve(
    app: Any, settings: ServerSettings, listener: Listener, ended: asyncio.Event
) -> None:
    config = _config(app, settings)
    lifespan = LifespanOn(config)
    await lifespan.startup()
    if lifespan.should_exit:
        raise RuntimeError("the app could not be started")
    loop = asyncio.get_running_loop()
    state = State(listener.most)
    protocol: Any = config.http_protocol_class
    server = await loop.create_server(
        lambda: protocol(config, state, lifespan.state, loop), sock=listener, backlog=BACKLOG
    )
    await _keep_the_date(state, ended)
    server.close()
    await _close_connections(state)
    await lifespan.shutdown()


async def _keep_the_date(state: State, ended: asyncio.Event) -> None:
    """Until `ended`. A date for each answer would cost each answer."""
    while not ended.is_set():
        state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        try:
            async with asyncio.timeout(1.0):
                await ended.wait()
        except TimeoutError:
            pass


async def _close_connections(state: State) -> None:
    connections = cast("set[Mended]", state.connections)
    for connection in [*connections]:
        connection.shutdown()
    ends_at = asyncio.get_running_loop().time() + CLOSE_S
    while connections and asyncio.get_running_loop().time() < ends_at:
        await asyncio.sleep(0.005)
    for connection in [*connections]:
        connection.transport.abort()


def _config(app: Any, settings: ServerSettings) -> Config:
    # Not its warnings: a stranger's bad request would be a line in the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = Config(
        app,
        http=_protocol(),
        ws="none",
        lifespan="auto",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=cast(Any, settings.header_timeout_s),
    )
    config.load()
    return config
