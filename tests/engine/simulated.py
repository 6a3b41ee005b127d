"""What a process has of Postgres beside its store, over a link of the simulated server.

Worker and channel are the real ones, with links in the place of their connections.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import psycopg

from runner.engine.channel import Channel
from runner.engine.worker import Worker
from tests.engine.simulated_line import Process
from tests.engine.simulated_server import Connection, Link

T = TypeVar("T")


class SimulatedChannel(Channel):
    def __init__(self, link: Any, *others: Any) -> None:
        super().__init__("", *others)
        self._link: Link = link

    async def _connect(self) -> Any:
        await self._link.ask(lambda: None)
        return Connection(self._link)


class SimulatedWorker(Worker):
    def __init__(self, link: Any, *others: Any) -> None:
        super().__init__("", *others)
        self.app: Any = SimulatedApp(link)


class SimulatedApp:
    """What a worker has of Procrastinate."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._line = link.server.line
        self.job_manager = self.connector = self

    async def open_async(self) -> None: ...

    async def close_async(self) -> None: ...

    async def fetch_job(self, queues: list[str], worker_id: int) -> Any:
        row = await self._ask(lambda: self._line.fetch(worker_id))
        if row is None:
            return None
        return SimpleNamespace(
            id=row.job, task_kwargs={"turn_id": row.turn_id}, attempts=row.attempts
        )

    async def register_worker(self) -> int:
        return await self._ask(self._line.register)

    async def unregister_worker(self, worker_id: int) -> None:
        await self._ask(lambda: self._line.drop_worker(worker_id))

    async def update_heartbeat(self, worker_id: int) -> None:
        def step() -> None:
            if worker_id in self._line.workers:
                self._line.workers[worker_id] = self._line.now()

        await self._ask(step)

    async def execute_query_all_async(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """The few statements that a worker says itself."""
        known: dict[str, Callable[..., list[dict[str, Any]]]] = {
            "SELECT procrastinate_retry_job_v2": self._back,
            "SELECT id FROM procrastinate_jobs": self._fetched,
            "UPDATE turnline_processes SET seen_at": self._beat,
            "INSERT INTO turnline_processes": self._register,
            "DELETE FROM turnline_processes": self._unregister,
        }
        (step,) = [step for start, step in known.items() if sql.lstrip().startswith(start)]
        return await self._ask(lambda: step(**values))

    def _back(self, job: int) -> list[dict[str, Any]]:
        self._line.back(job)
        return []

    def _fetched(self, worker: int) -> list[dict[str, Any]]:
        rows = self._line.rows.values()
        return [{"id": row.job} for row in rows if row.is_fetched and row.worker == worker]

    def _beat(self, own: str, worker: int) -> list[dict[str, Any]]:
        process = self._line.processes.get(own)
        if process is None or worker not in self._line.workers:
            return []
        process.seen_at = self._line.now()
        return [{"id": own}]

    def _register(
        self, own: str, name: str, worker: int, slots: int, lease_s: float
    ) -> list[dict[str, Any]]:
        self._line.processes[own] = Process(worker, slots, self._line.now())
        return [{"id": own}]

    def _unregister(self, own: str) -> list[dict[str, Any]]:
        return [{"id": own}] if self._line.processes.pop(own, None) else []

    async def _ask(self, step: Callable[[], T]) -> T:
        try:
            return await self._link.ask(step)
        except KeyError as error:  # As Postgres refuses a statement.
            raise psycopg.IntegrityError(str(error)) from error
