"""The life of the server, from its socket to its exit status.

The end, in order: the first SIGTERM or SIGINT makes `ready` false and refuses new and
waiting turns; running turns get `drain_s` to finish; then connections are closed; then the
process ends with status 0. A second signal skips the rest of the drain.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from runner.config.masking import without_password
from runner.server.base import CLOSE_S, HttpServer
from runner.server.listener import Listener
from runner.server.stop import Stop
from runner.settings import ServerSettings
from runner.store.base import StoreInUse, StoreUnavailable
from runner.turns.service import Service

IDLE_CHECK_S = 0.2

log = structlog.get_logger(__name__)


def run(app: Any, service: Service, http: HttpServer, announce: Callable[[str], None]) -> int:
    """Serve until told to stop; the exit status. `announce` is given the URL once it listens."""
    _tune_collector()
    loop = http.new_event_loop()
    stop = Stop(loop, service.settings.server.drain_s)
    stop.install()
    status = _run_to_the_end(loop, Server(app, service, http, stop, announce).live())
    stop.ended()
    _leave(loop, status)
    return status


@dataclass(eq=False)
class Server:
    """One app on one socket: started, served, drained and ended here."""

    app: Any
    service: Service
    http: HttpServer
    stop: Stop
    announce: Callable[[str], None]
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def settings(self) -> ServerSettings:
        return self.service.settings.server

    async def live(self) -> int:
        """From start to end; the exit status."""
        listener = await self._start()
        if listener is None:
            return 1
        carrying = self.http.serve(self.app, self.settings, listener, self.ended)
        serving = asyncio.create_task(carrying)
        self.announce(_url(self.settings.host, listener.getsockname()[1]))
        await self._until_stopped(serving)
        if not serving.done():
            await self._drain()
        return await self._end(serving)

    async def _start(self) -> Listener | None:
        """The socket, once the store is open too; None where one cannot be had."""
        settings = self.settings
        try:
            listener = Listener.at(settings.host, settings.port, settings.max_connections)
        except OSError as error:
            log.error("cannot listen", host=settings.host, port=settings.port, reason=str(error))
            return None
        try:
            await self.service.open()
        except (StoreInUse, StoreUnavailable) as error:
            listener.close()
            url = without_password(self.service.settings.store.url)
            log.error("cannot open the store", url=url, reason=str(error))
            return None
        return listener

    async def _until_stopped(self, serving: asyncio.Task[None]) -> None:
        stopped = asyncio.create_task(self.stop.wanted.wait())
        idle = asyncio.create_task(self._stop_when_idle())
        await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        idle.cancel()

    async def _stop_when_idle(self) -> None:
        limit_s = self.settings.idle_shutdown_s
        while limit_s is not None:
            await asyncio.sleep(IDLE_CHECK_S)
            if self.service.idle_s >= limit_s:
                self.stop.ask(f"no turn for {limit_s:g} s")
                return

    async def _drain(self) -> None:
        """Let turns end, and their answers reach the connections."""
        log.info("draining", drain_s=self.settings.drain_s, reason=self.stop.reason)
        drain = asyncio.create_task(self.service.drain(self.settings.drain_s))
        hurry = asyncio.create_task(self.stop.hurry.wait())
        await asyncio.wait((drain, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not drain.done():
            await self.service.drain(0.0)
        ends_at = asyncio.get_running_loop().time() + CLOSE_S
        while self.service.requests_in_flight and asyncio.get_running_loop().time() < ends_at:
            await asyncio.sleep(0.005)

    async def _end(self, serving: asyncio.Task[None]) -> int:
        self.ended.set()
        # Hypercorn's own end may take for ever on Python 3.12 and later (#308), hence the bound.
        await asyncio.wait((serving,), timeout=2 * CLOSE_S)
        await self.service.close()
        if serving.done() and not serving.cancelled() and serving.exception() is not None:
            log.error("server failed", exc_info=serving.exception())
            return 1
        return 0


def _run_to_the_end(loop: asyncio.AbstractEventLoop, living: Coroutine[Any, Any, int]) -> int:
    """Run the loop until the server has ended, whatever ends the loop before.

    asyncio lets a SystemExit or a KeyboardInterrupt out of any task or callback and
    out of the loop. At the agent's boundary they are caught; those of a task that the
    agent started, such as a tool under `asyncio.gather`, are caught here.
    """
    server = loop.create_task(living)
    while True:
        try:
            return loop.run_until_complete(server)
        except BaseException as error:
            if server.done() or loop.is_closed():
                raise
            log.error(
                "the loop was ended, and goes on", reason=type(error).__name__, exc_info=error
            )


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


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
