"""Hypercorn in this process: listen, serve, drain, end. The only place that knows it.

Why not `hypercorn module:app`: even one worker is a forked child there, which
outlives a kill of its parent, and a drain cannot be had. Here the process that
is signalled is the one that serves.

The end, in order: the first SIGTERM or SIGINT makes `ready` false and refuses
new and waiting turns; running ones have `drain_s`; then Hypercorn closes its
connections; then the process ends with status 0. A second signal skips what is
left of the drain.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import sys
from collections.abc import Callable, Coroutine
from typing import Any, cast

import structlog
from hypercorn.asyncio import run as hypercorn_run
from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config, Sockets
from hypercorn.events import Closed, Event, Updated
from hypercorn.protocol.h11 import H11Protocol

from runner.config.masking import without_password
from runner.listener import Listener
from runner.service import Service
from runner.settings import ServerSettings
from runner.stop import Stop
from runner.store.base import StoreInUse, StoreUnavailable

CLOSE_S = 0.2
"""For answers that are on their way, and for Hypercorn to close its connections."""

IDLE_CHECK_S = 0.2

SPARE_DESCRIPTORS = 64
"""Kept free of clients: the store, the log, the agent's own connections."""

log = structlog.get_logger(__name__)


def run(app: Any, service: Service, announce: Callable[[str], None]) -> int:
    """Serve until told to stop; the exit status. `announce` is given the URL once it listens."""
    _tune_collector()
    loop = asyncio.new_event_loop()
    stop = Stop(loop, service.settings.server.drain_s)
    stop.install()
    status = _run_to_the_end(loop, _serve(app, service, stop, announce))
    stop.ended()
    _leave(loop, status)
    return status


def _run_to_the_end(loop: asyncio.AbstractEventLoop, serving: Coroutine[Any, Any, int]) -> int:
    """Run the loop until the server has ended, whatever ends the loop before.

    asyncio lets a SystemExit or a KeyboardInterrupt out of any task or callback and
    out of the loop. At the agent's boundary they are caught; those of a task that the
    agent started, such as a tool under `asyncio.gather`, are caught here.
    """
    server = loop.create_task(serving)
    while True:
        try:
            return loop.run_until_complete(server)
        except BaseException as error:
            if server.done() or loop.is_closed():
                raise
            log.error(
                "the loop was ended, and goes on", reason=type(error).__name__, exc_info=error
            )


async def _serve(app: Any, service: Service, stop: Stop, announce: Callable[[str], None]) -> int:
    settings = service.settings.server
    try:
        listener = _listen(settings)
    except OSError as error:
        log.error("cannot listen", host=settings.host, port=settings.port, reason=str(error))
        return 1
    try:
        await service.open()
    except (StoreInUse, StoreUnavailable) as error:
        listener.close()
        url = without_password(service.settings.store.url)
        log.error("cannot open the store", url=url, reason=str(error))
        return 1
    drained = asyncio.Event()
    serving = asyncio.create_task(
        serve(
            app, _config(settings, listener), shutdown_trigger=lambda: _end(service, stop, drained)
        )
    )
    idle = asyncio.create_task(_watch_idle(service, stop))
    announce(_url(settings.host, listener.getsockname()[1]))
    closing = asyncio.create_task(drained.wait())
    await asyncio.wait((serving, closing), return_when=asyncio.FIRST_COMPLETED)
    # Hypercorn's own end may take for ever on Python 3.12 and later (#308), hence the bound.
    await asyncio.wait((serving,), timeout=2 * CLOSE_S)
    idle.cancel()
    closing.cancel()
    await service.close()
    if serving.done() and not serving.cancelled() and serving.exception() is not None:
        log.error("server failed", exc_info=serving.exception())
        return 1
    return 0


async def _end(service: Service, stop: Stop, drained: asyncio.Event) -> None:
    """Hypercorn's shutdown trigger: it closes when this returns, so the drain is in here."""
    await stop.wanted.wait()
    log.info("draining", drain_s=service.settings.server.drain_s, reason=stop.reason)
    drain = asyncio.create_task(service.drain(service.settings.server.drain_s))
    hurry = asyncio.create_task(stop.hurry.wait())
    await asyncio.wait((drain, hurry), return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if not drain.done():
        await service.drain(0.0)
    await _until_answered(service)
    drained.set()


async def _until_answered(service: Service) -> None:
    ends_at = asyncio.get_running_loop().time() + CLOSE_S
    while service.requests_in_flight and asyncio.get_running_loop().time() < ends_at:
        await asyncio.sleep(0.005)


async def _watch_idle(service: Service, stop: Stop) -> None:
    limit_s = service.settings.server.idle_shutdown_s
    while limit_s is not None:
        await asyncio.sleep(IDLE_CHECK_S)
        if service.idle_s >= limit_s:
            stop.ask(f"no turn for {limit_s:g} s")
            return


def _leave(loop: asyncio.AbstractEventLoop, status: int) -> None:
    """End the loop; where a task of the agent's will not end, end the process instead."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=CLOSE_S))
    if all(task.done() for task in tasks):
        loop.close()
        return
    log.warning("left behind", tasks=sum(not task.done() for task in tasks))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _tune_collector() -> None:
    """Collect seldom: a full collection walks over every waiting client, and all wait for it.

    With 10,000 of them it takes a good part of a second, and the default
    thresholds have it run several times while they all leave.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _listen(settings: ServerSettings) -> Listener:
    _raise_descriptor_limit()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Listener.at(
        settings.host, settings.port, most=min(settings.max_connections, soft - SPARE_DESCRIPTORS)
    )


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _ClientLeft(Exception):
    """The requests that it had pipelined are nobody's any more."""


class _PromptServer(TCPServer):
    """Lets go of a connection when its client has; Hypercorn's waits for the idle limit first."""

    async def _read_data(self) -> None:
        try:
            await super()._read_data()
        except _ClientLeft:
            await self.protocol.handle(Closed())
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        is_next_request = isinstance(event, Updated) and not event.idle
        if is_next_request and (self.reader.at_eof() or self.writer.is_closing()):
            raise _ClientLeft
        await super().protocol_send(event)


# There is no other way in: the class is named in the function that `serve` calls.
hypercorn_run.TCPServer = _PromptServer  # type: ignore[attr-defined]


async def _stay_with_http_1(self: H11Protocol, event: object) -> None:
    """In place of the check that changes to HTTP/2, whose connections have no idle limit."""


# ALPN is for TLS: without it Hypercorn speaks HTTP/2 to whoever begins with its preface.
H11Protocol._check_protocol = _stay_with_http_1  # type: ignore[method-assign]


class _ConfigWithListener(Config):
    """Hypercorn's settings, with a socket of ours instead of those that it would make."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener

    def create_sockets(self) -> Sockets:
        return Sockets([], [self._listener], [])


def _config(settings: ServerSettings, listener: Listener) -> Config:
    config = _ConfigWithListener(listener)
    config.alpn_protocols = ["http/1.1"]
    config.accesslog = None
    # A logger instead of "-": its own handler would print everything twice.
    config.errorlog = logging.getLogger("hypercorn.error")
    config.errorlog.setLevel(logging.WARNING)
    config.backlog = 2048
    config.graceful_timeout = cast(Any, CLOSE_S)
    # A connection counts as idle until a request's headers are complete: this ends slow ones too.
    config.keep_alive_timeout = cast(Any, settings.header_timeout_s)
    config.keep_alive_max_requests = sys.maxsize
    config.include_server_header = False
    return config


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
