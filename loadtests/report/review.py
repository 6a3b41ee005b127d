"""Writes docs/design-review.md from the committed run: `python -m loadtests.report.review`.

Every number of the review is injected from figures.csv, or from a simulation that
is the same each time, so text and data cannot drift apart: `--check` writes nothing
and fails where the committed review or report says something else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from math import inf
from pathlib import Path
from statistics import fmean

from loadtests.measures.figures import Figures, figures
from loadtests.measures.intervals import paired
from loadtests.report.page import content, templates, write_pages
from loadtests.report.results import Results
from loadtests.report.words import show, show_effect
from loadtests.runs.plan import Folder
from loadtests.runs.servers import ROOT
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import make

DATA = ROOT / "docs" / "evidence" / "standard"
REVIEW = ROOT / "docs" / "design-review.md"
SEEDS = range(1, 11)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where text and data differ")
    check = parser.parse_args().check
    results = Results.of(Folder(DATA))
    if not check:
        write_pages(results, DATA)
        REVIEW.write_text(render(results))
        return
    if drifted := drift(results):
        sys.exit(
            f"{', '.join(drifted)}: text and data differ. Write them again: "
            "python -m loadtests.report.review"
        )


def drift(results: Results) -> list[str]:
    """The names of the committed texts that are not what the data say."""
    found = [] if REVIEW.read_text() == render(results) else [REVIEW.name]
    with tempfile.TemporaryDirectory() as folder:
        write_pages(results, DATA, Path(folder))  # The text alone: plotters differ in figures.
        text = (Path(folder) / "report.md").read_text()
    return found if text == (DATA / "report.md").read_text() else [*found, "report.md"]


def render(results: Results) -> str:
    """The review, with its numbers."""
    template = templates().get_template("design-review.md.j2")
    said = {**content(results), **_measured(results), **_simulated()}
    return template.render(said, results=results).rstrip() + "\n"


def _measured(results: Results) -> dict[str, Callable[..., str]]:
    def measured(strategy: str, workload: str, measure: str) -> str:
        return show(results.middle(strategy, workload, measure), measure)

    def effect(workload: str, measure: str, other: str) -> str:
        return show_effect(results.effect(workload, measure, other))

    def share(strategy: str, workload: str, measure: str) -> str:
        return f"{results.middle(strategy, workload, measure):.0%}"

    return {"measured": measured, "effect": effect, "share": share}


@cache
def _virtual(strategy: str, workload: str) -> tuple[Figures, ...]:
    made = [make(workload, seed) for seed in SEEDS]
    return tuple(figures(simulate(strategy, each), each) for each in made)


def _simulated() -> dict[str, Callable[..., str]]:
    def simulated(strategy: str, workload: str, measure: str) -> str:
        values = [each[measure] for each in _virtual(strategy, workload)]
        return show(inf if inf in values else fmean(values), measure)

    def simulated_effect(workload: str, measure: str, one: str, other: str) -> str:
        mine, others = (
            [each[measure] for each in _virtual(name, workload)] for name in (one, other)
        )
        return show_effect(paired(mine, others))

    def calls(strategy: str, workload: str) -> str:
        return str(len(simulate(strategy, make(workload, 1)).calls))

    return {"simulated": simulated, "simulated_effect": simulated_effect, "calls": calls}


if __name__ == "__main__":
    main()
