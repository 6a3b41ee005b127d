"""Real runs: a server for each strategy, workload and seed, driven by Locust.

A server is one process, or several that share a database.

The runs of one workload and seed are at the same time, one for each strategy, and
begin when all of their processes are up: the machine's good and bad minutes fall on
all alike. Several such batches may run at once: agents that sleep leave the cores idle,
and whether the machine was too slow shows in the generator's lag. Each run is one line
of `runs.jsonl`, appended when its batch is complete, so a comparison that was cut off
goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from loadtests.measures.figures import LAG_LIMIT_S, lag_s
from loadtests.measures.histories import Findings, check
from loadtests.measures.records import Run
from loadtests.runs.plan import Folder, Plan, make
from loadtests.runs.trial import run_batch


@dataclass(frozen=True, slots=True)
class Step:
    """Progress: so many of so many batches are done, and about so many seconds remain."""

    done: int
    of: int
    left_s: float
    workload: str
    seed: int
    findings: dict[str, Findings]


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs at the same time, one for each of the strategies; `number` counts from 1."""

    number: int
    of: int
    workload: str
    seed: int
    strategies: Sequence[str]
    expected_s: float

    def __str__(self) -> str:
        return f"[{self.number}/{self.of}] {self.workload}, seed {self.seed}"


def _untold(batch: Batch) -> None:
    pass


def compare(
    plan: Plan,
    folder: Folder,
    begin: Callable[[Batch], None] = _untold,
    at_once: int = 1,
    server: str = "",
) -> Iterator[Step]:
    """Do all runs of the plan that the folder does not have yet; one step for each batch.

    `begin` is told of each batch before it; so many of them run at once. `server` is the URL of
    the Postgres server on which each run has a database, where the plan wants one. A batch with a
    run whose generator was late is repeated as a whole, for its runs are to be at the same time.
    Raises RunFailed where one failed, when those beside it have ended and are kept.
    """
    batches = list(_missing(plan, folder.runs()))
    do = partial(_do, plan, server)
    pace = _Pace([batch.expected_s for batch in batches])
    for done, (batch, runs) in enumerate(_run(batches, begin, at_once, do), 1):
        folder.add(runs)
        pace.add(batch.expected_s)
        workload = make(plan, batch.workload, batch.seed)
        findings = {run.strategy: check(run, workload) for run in runs}
        yield Step(done, len(batches), pace.left_s, batch.workload, batch.seed, findings)


def _do(plan: Plan, server: str, batch: Batch) -> list[Run]:
    return run_batch(plan, batch.strategies, batch.workload, batch.seed, server)


def _run(
    batches: Sequence[Batch],
    begin: Callable[[Batch], None],
    at_once: int,
    do: Callable[[Batch], list[Run]],
) -> Iterator[tuple[Batch, list[Run]]]:
    """Each batch with its runs, as they end; no new one begins after one that failed."""
    to_begin, failed = iter(batches), None
    running: dict[Future[list[Run]], Batch] = {}
    with ThreadPoolExecutor(at_once) as pool:
        while True:
            while failed is None and len(running) < at_once and (batch := next(to_begin, None)):
                begin(batch)
                running[pool.submit(do, batch)] = batch
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                batch = running.pop(future)
                if error := future.exception():
                    failed = failed or error
                else:
                    yield batch, future.result()
    if failed is not None:
        raise failed


class _Pace:
    """How long the rest takes, from how long what is done has taken."""

    def __init__(self, expected_s: Sequence[float]) -> None:
        self._rest_s, self._done_s = sum(expected_s), 0.0
        self._began = time.monotonic()

    def add(self, expected_s: float) -> None:
        self._rest_s -= expected_s
        self._done_s += expected_s

    @property
    def left_s(self) -> float:
        return self._rest_s * (time.monotonic() - self._began) / self._done_s


def _missing(plan: Plan, runs: Sequence[Run]) -> Iterator[Batch]:
    """The batches that are still to be done, with the strategies that they lack."""
    there = {(run.strategy, run.workload, run.seed) for run in runs}
    late = {(run.workload, run.seed) for run in runs if lag_s(run) > LAG_LIMIT_S}
    to_do: list[tuple[str, int, list[str]]] = []
    for seed in range(1, plan.seeds + 1):
        for name in plan.workloads:
            again = (name, seed) in late
            lacking = [s for s in plan.strategies if again or (s, name, seed) not in there]
            if lacking:
                to_do.append((name, seed, lacking))
    for number, (name, seed, lacking) in enumerate(to_do, 1):
        yield Batch(number, len(to_do), name, seed, lacking, _expected_s(plan, name, seed))


def _expected_s(plan: Plan, name: str, seed: int) -> float:
    workload = make(plan, name, seed)
    return workload.horizon_s + workload.clients.patience * workload.service_s / 4 + 3.0
