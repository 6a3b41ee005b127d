"""The report of a comparison, written from the figures of its runs alone."""

from __future__ import annotations

from loadtests.report import rows
from loadtests.report.page import write_pages
from loadtests.report.results import Results
from loadtests.runs.plan import Folder


def write_report(folder: Folder) -> Results:
    """Write report.html, report.md and the figures into the folder; what they tell.

    Where its raw data are there, figures.csv and digest.txt are written from them first.
    Raises ValueError where the folder has neither.
    """
    rows.write(folder)
    results = Results(folder.about(), folder.plan(), rows.read_table(folder))
    if not results.runs:
        raise ValueError(f"{folder.path} has no runs yet")
    write_pages(results, folder.path)
    return results
