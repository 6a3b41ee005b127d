"""The report of a comparison, written from its raw data alone."""

from __future__ import annotations

from loadtests.report.long_runs import LongRuns, long_runs
from loadtests.report.page import write_pages
from loadtests.report.results import Results
from loadtests.runs.plan import Folder


def write_report(folder: Folder, theory: LongRuns | None = None) -> Results:
    """Write report.html, report.md and the figures into the folder; what they tell.

    Raises ValueError where the folder has no runs.
    """
    results = Results.of(folder)
    if not results.runs:
        raise ValueError(f"{folder.path} has no runs yet")
    if (
        theory is None and "patient" in results.workloads
    ):  # Else there is nothing to hold it against.
        theory = long_runs()
    write_pages(results, folder.path, theory)
    return results
