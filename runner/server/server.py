"""The life of the server, from its socket to its exit status.

The first SIGTERM or SIGINT makes `ready` false and refuses new and waiting turns; running
turns get `drain_s` to finish; then connections are closed and the process ends with status 0.
A second signal skips the rest of the drain. `signal.signal` takes them and a timer thread
enforces the deadline, because an agent may block the loop.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog

from runner.agents.base import CURRENT
from runner.config.masking import without_secrets
from runner.server import CLOSE_S, wait_while
from runner.server.listener import Listener
from runner.settings import ServerSettings
from runner.store.base import StoreInUse, StoreUnavailable
from runner.turns.service import Service

IDLE_CHECK_S = 0.2

FORCE_AFTER_S = 0.9
"""Past the drain's deadline: an agent that blocks the loop or ignores its end is left behind."""

log = structlog.get_logger(__name__)


class HttpServer(Protocol):
    """A module with these two functions."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop: ...

    async def serve(
        self, app: Any, settings: ServerSettings, listener: Listener, ended: asyncio.Event
    ) -> None:
        """Answer until `ended` is set; then close connections, within CLOSE_S, and return.

        No signal is handled, and the app is told of start and end (ASGI's lifespan) once.
        """
        ...


def run(app: Any, service: Service, http: HttpServer, announce: Callable[[str], None]) -> int:
    """Serve until told to stop; the exit status. `announce` is given the URL once it listens."""
    _tune_collector()
    loop = http.new_event_loop()
    loop.set_task_factory(_make_task)
    server = Server(service, loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: server.stop(signal.Signals(number).name))
    status = _run_to_the_end(loop, server.live(app, http, announce))
    _leave(loop, status)
    return status


class Server:
    """One app on one socket: started, served, drained and ended here."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._settings = service.settings.server
        self._loop = loop
        self._stop_reason = ""
        self._stopped = asyncio.Event()
        self._hurrying: asyncio.Task[None] | None = None

    def stop(self, reason: str) -> None:
        """End the server; asked a second time, without waiting for what runs. For any thread."""
        act, within_s = self._stopped.set, self._settings.drain_s + FORCE_AFTER_S
        if self._stop_reason:
            act, within_s = self._hurry, FORCE_AFTER_S
        self._stop_reason = self._stop_reason or reason
        self._loop.call_soon_threadsafe(act)
        timer = threading.Timer(within_s, _force_exit)
        timer.daemon = True
        timer.start()

    def _hurry(self) -> None:
        """Withdraw what runs; so the drain that waits for it ends too."""
        self._hurrying = self._loop.create_task(self._service.drain(0.0))

    async def live(self, app: Any, http: HttpServer, announce: Callable[[str], None]) -> int:
        """From start to end; the exit status."""
        listener = await self._start()
        if listener is None:
            return 1
        ended = asyncio.Event()
        serving = asyncio.create_task(http.serve(app, self._settings, listener, ended))
        announce(_url(self._settings.host, listener.getsockname()[1]))
        serving.add_done_callback(lambda _: self._stopped.set())
        idle = asyncio.create_task(self._stop_when_idle())
        await self._stopped.wait()
        idle.cancel()
        if not serving.done():
            await self._drain()
        ended.set()
        # Hypercorn's own end may take for ever on Python 3.12 and later (#308), hence the bound.
        await asyncio.wait((serving,), timeout=2 * CLOSE_S)
        await self._service.close()
        failed = serving.done() and not serving.cancelled() and serving.exception() is not None
        if failed:
            log.error("server failed", exc_info=serving.exception())
        return int(failed)

    async def _start(self) -> Listener | None:
        """The socket, once the store is open too; None where one cannot be had."""
        host, port = self._settings.host, self._settings.port
        try:
            listener = Listener.at(host, port, self._settings.max_connections)
        except OSError as error:
            log.error("cannot listen", host=host, port=port, reason=str(error))
            return None
        try:
            await self._service.open()
        except (StoreInUse, StoreUnavailable) as error:
            listener.close()
            url = without_secrets(self._service.settings.store.url)
            log.error("cannot open the store", url=url, reason=str(error))
            return None
        return listener

    async def _stop_when_idle(self) -> None:
        limit_s = self._settings.idle_shutdown_s
        while limit_s is not None and self._service.idle_s < limit_s:
            await asyncio.sleep(IDLE_CHECK_S)
        if limit_s is not None:
            self.stop(f"no turn for {limit_s:g} s")

    async def _drain(self) -> None:
        """Let turns end, and their answers reach the connections."""
        drain_s = self._settings.drain_s
        log.info("draining", drain_s=drain_s, reason=self._stop_reason)
        await self._service.drain(drain_s)
        await wait_while(lambda: self._service.requests_in_flight)


def _run_to_the_end(loop: asyncio.AbstractEventLoop, living: Coroutine[Any, Any, int]) -> int:
    """Run the loop until the server has ended, whatever ends the loop before.

    asyncio lets a SystemExit or a KeyboardInterrupt of any task out of the loop. Those of
    tasks that an agent started, such as a tool under `asyncio.gather`, are caught here.
    """
    server = loop.create_task(living)
    while True:
        try:
            return loop.run_until_complete(server)
        except BaseException as error:
            if server.done() or loop.is_closed():
                raise
            reason = type(error).__name__
            log.error("the loop was ended, and goes on", reason=reason, exc_info=error)


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
    """Hide the server's tasks, and a turn's own, from an agent that cancels `all_tasks`."""
    task = asyncio.Task(coroutine, loop=loop, **more)
    if CURRENT.get(None) is None:
        asyncio._unregister_task(task)
    return task


def _leave(loop: asyncio.AbstractEventLoop, status: int) -> None:
    """End the loop; where a task of the agent's will not end, end the process instead."""
    tasks = [task for task in gc.get_objects() if issubclass(type(task), asyncio.Task)]
    left = [task for task in tasks if not task.done() and task.get_loop() is loop]
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=CLOSE_S))
    if all(task.done() for task in left):
        loop.close()
        return
    log.warning("left behind", tasks=sum(not task.done() for task in left))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _force_exit() -> None:
    os.write(2, b"the agent did not stop in time and is left behind\n")
    os._exit(0)


def _tune_collector() -> None:
    """Collect seldom: a full collection with 10,000 clients holds all up for part of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
