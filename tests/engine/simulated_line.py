"""The line of `line.sql` with its jobs, in memory: each method is one statement, done in one step.

What it must do is what Postgres and Procrastinate do; `test_simulated_line.py` compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from runner.engine.store import URGENCY, Rules


@dataclass(slots=True)
class Row:
    """A turn that has not ended, with its job: see `turnline_line`."""

    turn_id: str
    job: int
    conversation: str
    caller: str
    holder: str
    outlives: bool
    priority: int
    place: int
    rank: int
    runner: str | None = None
    is_fetched: bool = False
    worker: int | None = None
    attempts: int = 0
    is_stopped: bool = False


@dataclass(slots=True)
class Process:
    """As in `turnline_processes`."""

    worker: int
    slots: int
    seen_at: float


@dataclass(slots=True)
class Line:
    """The tables. Instants are those of the server's clock.

    moved  is called where a trigger would NOTIFY that there may be a job to fetch.
    """

    now: Callable[[], float]
    moved: Callable[[], object] = lambda: None
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    served: int = 0
    processes: dict[str, Process] = field(default_factory=dict[str, Process])
    workers: dict[int, float] = field(default_factory=dict[int, float])
    jobs: count[int] = field(default_factory=lambda: count(1))
    worker_ids: count[int] = field(default_factory=lambda: count(1))

    # Turns come, run and go.

    def admit(
        self, turn_id: str, conversation: str, priority: int, holder: str, rules: Rules,
        lease_s: float = 30.0,
    ) -> str:  # fmt: skip
        """As `turnline_admit`, but for the key."""
        here = [row for row in self.rows.values() if row.conversation == conversation]
        waiting_here = [row for row in here if row.runner is None]
        if rules.policy == "reject" and here:
            return "ConversationBusy"
        if rules.policy == "queue":
            busy = bool(here) or len(self.rows) >= self._slots(lease_s)
            if busy and (refusal := self._full(len(waiting_here), rules)):
                return refusal
        else:
            priority = 3
        rank = self._rank(waiting_here, priority, rules.caller)
        job = next(self.jobs)
        self.rows[turn_id] = Row(
            turn_id, job, conversation, rules.caller, holder, rules.outlives, priority,
            len(waiting_here) + 1, rank,
        )  # fmt: skip
        self.moved()
        return ""

    def _slots(self, lease_s: float) -> int:
        since = self.now() - lease_s
        return sum(one.slots for one in self.processes.values() if one.seen_at > since)

    def _waiting(self, caller: str) -> list[Row]:
        return [row for row in self.rows.values() if row.runner is None and row.caller == caller]

    def _full(self, waiting_here: int, rules: Rules) -> str:
        of_caller = rules.max_waiting_per_caller
        if waiting_here >= rules.max_waiting_per_conversation:
            return "ConversationQueueFull"
        if of_caller is not None and len(self._waiting(rules.caller)) >= of_caller:
            return "CallerQueueFull"
        if sum(row.runner is None for row in self.rows.values()) >= rules.max_waiting:
            return "ServerFull"
        return ""

    def _rank(self, waiting_here: list[Row], priority: int, caller: str) -> int:
        if not self.rows:
            self.served = 0
        before = sum(
            row.caller == caller and (row.runner is not None or row.place <= len(waiting_here) + 1)
            for row in self.rows.values()
        )
        ranks = [self.served + before]
        ranks += [
            row.rank - URGENCY * (row.priority - 3)
            for row in waiting_here
            if row.priority <= priority
        ]
        return max(ranks) + URGENCY * (priority - 3)

    def fetch(self, worker: int) -> Row | None:
        """As `procrastinate_fetch_job_v2`. A worker that is not registered breaks a foreign key."""
        running = {row.conversation for row in self.rows.values() if row.is_fetched}
        for row in sorted(self.rows.values(), key=lambda row: (row.rank, row.job)):
            if not row.is_fetched and row.conversation not in running:
                if worker not in self.workers:
                    raise KeyError(f"worker {worker} is not registered")
                row.is_fetched, row.worker = True, worker
                return row
        return None

    def start(self, turn_id: str, process: str, worker: int, attempts: int | None) -> bool:
        """As `turnline_start`."""
        if not self.is_of(turn_id, worker, attempts):
            return False
        row = self.rows[turn_id]
        row.runner = process
        self.served = max(self.served, row.rank)
        return True

    def withdraw(self, turn_id: str) -> bool:
        """As `turnline_withdraw`."""
        row = self.rows.get(turn_id)
        if row is None or row.is_fetched:
            return False
        del self.rows[turn_id]
        self.moved()
        return True

    def is_of(self, turn_id: str, worker: int, attempts: int | None) -> bool:
        """Whether this worker has fetched it, and has not lost it since."""
        row = self.rows.get(turn_id)
        if row is None or not row.is_fetched:
            return False
        return (row.worker, row.attempts) == (worker, attempts)

    def finish(self, turn_id: str, worker: int, attempts: int | None) -> bool:
        """As `turnline_finish`."""
        if not self.is_of(turn_id, worker, attempts):
            return False
        del self.rows[turn_id]
        self.moved()
        return True

    def back(self, job: int) -> None:
        """As `procrastinate_retry_job_v2`. Raises KeyError."""
        row = next((row for row in self.rows.values() if row.job == job and row.is_fetched), None)
        if row is None:
            raise KeyError(f"job {job} was not found or has an invalid status to retry")
        row.is_fetched = False
        row.attempts += 1
        self.moved()

    # Processes live, and are silent.

    def register(self) -> int:
        """A worker, which is alive now."""
        worker = next(self.worker_ids)
        self.workers[worker] = self.now()
        return worker

    def drop_worker(self, worker: int) -> None:
        self.workers.pop(worker, None)
        for row in self.rows.values():
            if row.worker == worker:
                row.worker = None

    def is_stalled(self, row: Row, lease_s: float) -> bool:
        since = self.now() - lease_s
        alive = row.worker is not None and self.workers.get(row.worker, since) > since
        return row.is_fetched and not alive

    def stalled(self, lease_s: float) -> list[str]:
        return [row.turn_id for row in self.rows.values() if self.is_stalled(row, lease_s)]

    def waiting_for_gone(self, lease_s: float) -> list[str]:
        """Those that wait and do not outlive their process, which is silent."""
        since = self.now() - lease_s
        alive = {name for name, one in self.processes.items() if one.seen_at > since}
        return [
            row.turn_id
            for row in self.rows.values()
            if not row.outlives and row.runner is None and row.holder not in alive
        ]

    def prune(self, lease_s: float) -> None:
        """Forget processes and workers that are silent."""
        since = self.now() - lease_s
        for name in [name for name, one in self.processes.items() if one.seen_at < since]:
            del self.processes[name]
        for worker in [one for one, seen_at in self.workers.items() if seen_at < since]:
            self.drop_worker(worker)
