"""Real runs: a server process for each strategy, workload and seed, driven by Locust.

The runs of one workload and seed are at the same time, one for each strategy, and
begin when all of their processes are up: the machine's good and bad minutes fall on
all alike. Each run is one line of `runs.jsonl`, appended when it is complete, so a
comparison that was cut off goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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


def compare(plan: Plan, folder: Folder, begin: Callable[[Batch], None] = _untold) -> Iterator[Step]:
    """Do all runs of the plan that the folder does not have yet; one step for each batch.

    `begin` is told of each batch before it. A batch with a run whose generator was late is
    repeated as a whole, for its runs are to be at the same time.
    """
    batches = list(_missing(plan, folder.runs()))
    took: list[tuple[float, float]] = []
    for done, (name, seed, strategies) in enumerate(batches, 1):
        expected_s = _expected_s(plan, name, seed)
        begin(Batch(done, len(batches), name, seed, strategies, expected_s))
        began = time.monotonic()
        runs = run_batch(plan, strategies, name, seed)
        folder.add(runs)
        took.append((expected_s, time.monotonic() - began))
        rest = sum(_expected_s(plan, *batch[:2]) for batch in batches[done:])
        pace = sum(real for _, real in took) / sum(expected for expected, _ in took)
        workload = make(plan, name, seed)
        findings = {run.strategy: check(run, workload) for run in runs}
        yield Step(done, len(batches), rest * pace, name, seed, findings)


def _missing(plan: Plan, runs: Sequence[Run]) -> Iterator[tuple[str, int, list[str]]]:
    """Workload, seed and strategies of each batch that is still to be done."""
    there = {(run.strategy, run.workload, run.seed) for run in runs}
    late = {(run.workload, run.seed) for run in runs if lag_s(run) > LAG_LIMIT_S}
    for seed in range(1, plan.seeds + 1):
        for name in plan.workloads:
            again = (name, seed) in late
            to_do = [s for s in plan.strategies if again or (s, name, seed) not in there]
            if to_do:
                yield name, seed, to_do


def _expected_s(plan: Plan, name: str, seed: int) -> float:
    workload = make(plan, name, seed)
    return workload.horizon_s + workload.clients.patience * workload.service_s / 4 + 3.0
