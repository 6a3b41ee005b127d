"""The life of the server, from its socket to its exit status.

The first SIGTERM, SIGINT or SIGHUP makes `ready` false and refuses new and waiting turns;
running turns get `drain_s` to finish; then connections and store are closed and the process
ends with status 0. A second signal skips the rest of the drain. The watchdog of
`runner.process` enforces the deadlines, because an agent may block the loop.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from errno import EACCES, EADDRINUSE
from typing import Any, Protocol

import structlog

from runner.agents.base import CURRENT
from runner.config.masking import without_secrets
from runner.log_stream import LogStream
from runner.process import LEAVE_S, watchdog
from runner.server import CLOSE_S, wait_while
from runner.server.executor import AgentsExecutor
from runner.server.listener import Listener
from runner.settings import ServerSettings
from runner.store.base import StoreInUse, StoreUnavailable
from runner.tasks import spawn
from runner.turns.service import Service

LOOK_S = 0.2

SETTLE_S = 0.2
"""For agents whose turns were withdrawn; those that are not done by then are left behind."""

REMEDIES = {
    EADDRINUSE: "it is in use. Take another with --port N, or --port 0 for any free one",
    EACCES: "it needs rights that this user has not. Take one from 1024 on with --port N",
}
"""What to say of a port that cannot be had, in place of the system's words."""

HOW_TO_HURRY = "Waiting for {} running turn{}, {:g} s at most. Ctrl-C again stops at once.\n"

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
    loop.set_default_executor(AgentsExecutor())
    server = Server(service, loop)
    watchdog.hand_over(
        lambda number: server.stop(signal.Signals(number).name),
        first_s=service.settings.server.drain_s + LEAVE_S,
        again_s=LEAVE_S,
    )
    status = _run_to_the_end(loop, server.live(app, http, announce))
    watchdog.end_within(LEAVE_S, status)
    _leave(loop)
    return status


class Server:
    """One app on one socket: started, served, drained and ended here."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._settings = service.settings.server
        self._loop = loop
        self._stop_reason = ""
        self._stopped = asyncio.Event()
        self._overdue = asyncio.Event()
        # Held, for asyncio holds no task.
        self._hurrying: asyncio.Task[None] | None = None
        self._drain_ends: list[asyncio.Task[Any]] = []

    def stop(self, reason: str) -> None:
        """End the server; asked a second time, without waiting for what runs. For any thread."""
        act, within_s = self._stopped.set, self._settings.drain_s + LEAVE_S
        if self._stop_reason:
            act, within_s = self._hurry, LEAVE_S
        self._stop_reason = self._stop_reason or reason
        watchdog.end_within(within_s)
        with suppress(RuntimeError):  # The loop is closed.
            self._loop.call_soon_threadsafe(act)

    def _hurry(self) -> None:
        """Withdraw what runs; so the drain that waits for it ends too."""
        self._hurrying = spawn(self._service.drain(0.0), "the drain")
        self._loop.call_later(SETTLE_S, self._overdue.set)

    async def live(self, app: Any, http: HttpServer, announce: Callable[[str], None]) -> int:
        """From start to end; the exit status."""
        listener = await self._start()
        if listener is None:
            return 1
        ended = asyncio.Event()
        serving = asyncio.create_task(http.serve(app, self._settings, listener, ended))
        announce(_url(self._settings, listener.getsockname()[1]))
        serving.add_done_callback(lambda _: self._stopped.set())
        looking = spawn(self._look_after(), "the look after signals and idleness")
        await self._stopped.wait()
        if not serving.done():
            await self._drain()
        looking.cancel()
        watchdog.end_within(LEAVE_S, int(serving.done()))
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
            reason = REMEDIES.get(error.errno or 0, str(error))
            log.error("cannot listen", host=host, port=port, reason=reason)
            return None
        if listener.most < self._settings.max_connections:
            log.warning("max_connections is lowered", to=listener.most, reason=listener.reason)
        try:
            await self._service.open()
        except (StoreInUse, StoreUnavailable) as error:
            listener.close()
            url = without_secrets(self._service.settings.store.url)
            log.error("cannot open the store", url=url, reason=str(error))
            return None
        return listener

    async def _look_after(self) -> None:
        """Stop where nothing was to do for too long, and take back what an agent took."""
        limit_s = self._settings.idle_shutdown_s
        while True:
            await asyncio.sleep(LOOK_S)
            if taken := watchdog.take_signals():
                log.warning("the agent took signals; the server has them again", signals=taken)
            if limit_s is not None and not self._stop_reason and self._service.idle_s >= limit_s:
                self.stop(f"no turn for {limit_s:g} s")

    async def _drain(self) -> None:
        """Let turns end, and their answers reach the connections."""
        drain_s, running = self._settings.drain_s, self._service.load().running
        log.info("draining", drain_s=drain_s, reason=self._stop_reason, running=running)
        if running and self._stop_reason == "SIGINT" and os.isatty(2):
            LogStream(2).write(HOW_TO_HURRY.format(running, "s" * (running > 1), drain_s))
        self._loop.call_later(drain_s + SETTLE_S, self._overdue.set)
        ends = (self._service.drain(drain_s), self._overdue.wait())
        drain, _ = self._drain_ends = [asyncio.create_task(end) for end in ends]
        await asyncio.wait(self._drain_ends, return_when=asyncio.FIRST_COMPLETED)
        if drain.done():
            drain.result()
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


def _leave(loop: asyncio.AbstractEventLoop) -> None:
    """End the loop and the tasks that the agent has in it; those that will not end stay."""
    tasks = [task for task in gc.get_objects() if issubclass(type(task), asyncio.Task)]
    left = [task for task in tasks if not task.done() and task.get_loop() is loop]
    for task in left:
        task.cancel()
    with suppress(BaseException):  # An agent's SystemExit is not to be the status of the process.
        loop.run_until_complete(asyncio.wait(left, timeout=CLOSE_S)) if left else None
    if all(task.done() for task in left):
        loop.close()
    else:
        log.warning("left behind", tasks=sum(not task.done() for task in left))


def _tune_collector() -> None:
    """Collect seldom: a full collection with 10,000 clients holds all up for part of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _url(settings: ServerSettings, port: int) -> str:
    scheme = "http" if settings.certfile is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{port}"
