"""The report of a comparison, from its raw data alone."""

from __future__ import annotations

from loadtests.compare import Folder, findings_by_strategy, make
from loadtests.histories import Findings


def write_report(folder: Folder) -> dict[str, Findings]:
    """Write the report into the folder; the faults of each strategy."""
    plan = folder.plan()
    return findings_by_strategy(folder.runs(), lambda run: make(plan, run.workload, run.seed))
