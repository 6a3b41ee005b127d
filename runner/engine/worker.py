"""This process as one of Procrastinate's workers: it fetches turns, and says that it lives.

Procrastinate's own worker ends when its connection does, and frees a turn whoever fetched it.
This one waits until Postgres is back, and whether a turn is still its own is looked at where its
reply is kept (`turnline_finish` in line.sql).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Job

from runner import tasks
from runner.store.base import StoreUnavailable

QUEUE = "turnline"

POLL_S = 1.0
"""LISTEN comes back late after a restart of Postgres, so it looks by itself too."""

AGAIN_S = 0.5

PATIENCE: dict[str, Any] = {"timeout": 1.0, "reconnect_timeout": 0.5}
"""Seconds. By itself the pool waits ever longer before it tries again, for minutes after an outage
of minutes, and the process would lose its turns. So it gives up at once, and is asked again."""

GOODBYE_S = 0.25
"""The process has not a second left, and Postgres may be away: then a lease has to pass."""

LOST = (psycopg.Error, ProcrastinateException, OSError, StoreUnavailable)

log = structlog.get_logger(__name__)


class Worker:
    """Fetches turns while a slot is free, and runs each in a task.

    name     of the process, for people; `own`: for other processes.
    slots    turns that may run here at once.
    lease_s  a process that is silent for so long has lost its turns.
    run      runs a turn that was fetched, until its conversation may be freed. It is given how
             often that was tried before, and what it calls when its slot is free.
    sweep    looks after the turns of processes that are gone.
    id       as Procrastinate knows it; a new one where it was taken for gone.
    """

    def __init__(
        self,
        conninfo: str,
        own: str,
        name: str,
        slots: int,
        lease_s: float,
        run: Callable[[str, int, Callable[[], None]], Coroutine[Any, Any, None]],
        sweep: Callable[[], Awaitable[None]],
    ) -> None:
        logging.getLogger("procrastinate").setLevel(logging.WARNING)
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # We say it, once.
        connector = PsycopgConnector(conninfo=conninfo, min_size=1, max_size=2, **PATIENCE)
        self.app = App(connector=connector)
        self.id = 0
        self._own, self._name, self._slots, self._lease_s = own, name, slots, lease_s
        self._run, self._sweep = run, sweep
        self._free = asyncio.Semaphore(slots)
        self._wake, self._look = asyncio.Event(), asyncio.Event()
        self._running: dict[asyncio.Task[None], int] = {}
        self._unheard: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._fetching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises psycopg.Error, ProcrastinateException."""
        await self.app.open_async()
        await self._register()
        self._fetching = tasks.spawn(self._fetch_for_ever(), "fetching turns")
        self._tasks = [
            tasks.spawn(self._live(), "heartbeat"),
            tasks.spawn(self._look_after_others(), "sweeping"),
        ]

    async def stop_fetching(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def close(self) -> None:
        """Say that it is gone, so that others take over at once what it leaves."""
        await self.stop_fetching()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            with suppress(*LOST):
                async with asyncio.timeout(GOODBYE_S):
                    await self._unregister()
        await self.app.close_async()

    def wake(self) -> None:
        """There may be a turn to fetch."""
        self._wake.set()

    def sweep_soon(self) -> None:
        """A process has gone."""
        self._look.set()

    # Fetching.

    async def _fetch_for_ever(self) -> None:
        while True:
            await self._free.acquire()
            job = None
            self._wake.clear()
            try:
                job = await self._fetch()
            except LOST as error:
                log.warning("no turn can be fetched", reason=str(error).strip())
                await asyncio.sleep(AGAIN_S)
            finally:
                if job is None:
                    self._free.release()
            if job is not None and job.id is not None:
                turn_id, slot = str(job.task_kwargs["turn_id"]), self._slot()
                self._start(job.id, self._run(turn_id, job.attempts, slot))
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()

    async def _fetch(self) -> Job | None:
        fetching = asyncio.ensure_future(
            self.app.job_manager.fetch_job(queues=[QUEUE], worker_id=self.id)
        )
        try:
            return await asyncio.shield(fetching)
        except asyncio.CancelledError:
            with suppress(*LOST):  # Or that would be raised in the place of the cancellation.
                if (job := await fetching) is not None and job.id is not None:
                    await self._back(job.id)
            raise

    async def _back(self, job: int) -> None:
        sql = "SELECT procrastinate_retry_job_v2(%(job)s, NULL, NULL, NULL, NULL)"
        await self.rows(sql, job=job)

    def _start(self, job: int, work: Coroutine[Any, Any, None]) -> None:
        # By its task: the same job is fetched again by a process that has just lost it.
        task = tasks.spawn(work, "a turn")
        self._running[task] = job
        task.add_done_callback(self._running.pop)

    def _slot(self) -> Callable[[], None]:
        """What gives the slot back that was taken, the first time that it is called."""
        once = [self._free.release]
        return lambda: once.pop()() if once else None

    # Living.

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 4)
            try:
                if not await self._beat():
                    log.warning("this process was taken for gone, and comes back")
                    await self._register()
                await self._give_back()
            except LOST as error:
                log.warning("this process cannot say that it lives", reason=str(error).strip())

    async def _look_after_others(self) -> None:
        """Beside the heartbeat: a sweep writes, and may have to wait for longer than a lease."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lease_s / 4):
                    await self._look.wait()
            self._look.clear()
            try:
                await self._sweep()
            except LOST as error:
                log.warning("nobody looks after processes that are gone", reason=str(error).strip())

    async def _beat(self) -> bool:
        """False where it was taken for gone: as a process, or as a worker, or as both."""
        await self.app.job_manager.update_heartbeat(self.id)
        sql = """
            UPDATE turnline_processes SET seen_at = now() WHERE id = %(own)s
            AND EXISTS (SELECT FROM procrastinate_workers WHERE id = %(worker)s) RETURNING id
        """
        return bool(await self.rows(sql, own=self._own, worker=self.id))

    async def _register(self) -> None:
        self.id = await self.app.job_manager.register_worker()
        sql = """
            INSERT INTO turnline_processes (id, name, worker, slots, lease_s)
            VALUES (%(own)s, %(name)s, %(worker)s, %(slots)s, %(lease_s)s)
            ON CONFLICT (id) DO UPDATE SET worker = %(worker)s, seen_at = now() RETURNING id
        """
        about = {"name": self._name, "slots": self._slots, "lease_s": self._lease_s}
        await self.rows(sql, own=self._own, worker=self.id, **about)

    async def _unregister(self) -> None:
        await self.rows(
            "DELETE FROM turnline_processes WHERE id = %(own)s RETURNING id", own=self._own
        )
        await self.app.job_manager.unregister_worker(self.id)

    async def _give_back(self) -> None:
        """What it has fetched without hearing of it, as its connection was lost just then."""
        sql = """
            SELECT id FROM procrastinate_jobs WHERE worker_id = %(worker)s AND status = 'doing'
        """
        found = {row["id"] for row in await self.rows(sql, worker=self.id)} - set(
            self._running.values()
        )
        for job in found & self._unheard:  # Twice: it may just have come.
            log.warning("a turn that was fetched unheard goes back", job=job)
            await self._back(job)
        self._unheard = found

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """What the statement gives. Raises what `LOST` names."""
        query: Any = sql  # A LiteralString there: what is said is written in this module.
        return await self.app.connector.execute_query_all_async(query, **values)
