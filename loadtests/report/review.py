"""Writes docs/design-review.md from the committed runs: `python -m loadtests.report.review`.

Every number of the review is injected from a figures.csv, or from a simulation that
is the same each time, so text and data cannot drift apart: `--check` writes nothing
and fails where the committed review or a report says something else.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean

from loadtests.measures.figures import Figures, main_figures
from loadtests.report import processes, tables
from loadtests.report.breadth import JUDGED, MATRIX, Breadth, load
from loadtests.report.page import content, templates, write_pages
from loadtests.report.results import Results
from loadtests.report.verdict import integrity, machine
from loadtests.report.words import show
from loadtests.runs.plan import Folder
from loadtests.runs.servers import ROOT
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import make
from loadtests.workloads.workload import Workload

DATA = ROOT / "docs" / "evidence" / "standard"
PROCESSES = ROOT / "docs" / "evidence" / "processes"
"""Runs of one process each, and of several that share a database."""
REVIEW = ROOT / "docs" / "design-review.md"
SEEDS = range(1, 11)

PARTS = (
    *("queue", "queue-no-start-check", "queue-no-retries", "queue-no-patience"),
    *("queue-no-presumption", "queue-bare", "queue-before"),
    *("lock", "lock-5", "lock-half", "lock-check", "reject", "reject-jitter"),
)
"""Queue, without each of its parts, and the opponents."""


def _named(name: str) -> Callable[[int], Workload]:
    return lambda seed: make(name, seed, service_s=1.0)


def _leaving(seed: int) -> Workload:
    """`overload-2` with clients that leave and do not say when."""
    told = make("overload-2", seed, service_s=1.0)
    return replace(told, clients=replace(told.clients, tells_deadline=False))


WORKLOADS: dict[str, Callable[[int], Workload]] = {
    "overload-2": _named("overload-2"),
    "retrying-openai": _named("retrying-openai"),
    "leaving": _leaving,
    "silent": _named("silent"),
    "fifty-2": _named("fifty-2"),
    "tight": _named("tight"),
}
"""In which the parts are told apart."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where text and data differ")
    check = parser.parse_args().check
    results, several = (Results.of(Folder(folder)) for folder in (DATA, PROCESSES))
    if not check:
        write_pages(results, DATA)
        write_pages(several, PROCESSES)
        REVIEW.write_text(render(results, several))
        return
    if drifted := drift(results, several):
        sys.exit(
            f"{', '.join(drifted)}: text and data differ. Write them again: "
            "python -m loadtests.report.review"
        )


def drift(results: Results, several: Results) -> list[str]:
    """The names of the committed texts that are not what the data say."""
    found = [] if REVIEW.read_text() == render(results, several) else [REVIEW.name]
    for source, told in ((DATA, results), (PROCESSES, several)):
        with tempfile.TemporaryDirectory() as folder:
            write_pages(told, source, Path(folder))  # The text alone: plotters differ in figures.
            text = (Path(folder) / "report.md").read_text()
        if text != (source / "report.md").read_text():
            found.append(f"{source.name}/report.md")
    return found


def render(results: Results, several: Results) -> str:
    """The review, with its numbers; `several` are the runs over several processes."""
    template = templates().get_template("design-review.md.j2")
    breadth = load(DATA / MATRIX)
    if breadth is None:
        raise FileNotFoundError(f"{DATA / MATRIX}: make it with `runner simulate --matrix --out`")
    said = {**content(results, breadth), **_measured(results), **_parts(), **_lost(breadth)}
    said["over"] = _over(results, several)
    return template.render(said, results=results, lines=_lines).rstrip() + "\n"


def _measured(results: Results) -> dict[str, Callable[..., object]]:
    def measured(strategy: str, workload: str, measure: str) -> str:
        return show(results.middle(strategy, workload, measure), measure)

    def both(strategy: str, workload: str, measure: str) -> str:
        pair = results.both(strategy, workload, measure)
        return " / ".join(show(value, measure) for value in pair) if pair else "-"

    def beside(measure: str) -> str:
        rows = [[w, *(both(s, w, measure) for s in results.strategies)] for w in results.workloads]
        return _table(["", *results.strategies], rows)

    def deviation(measure: str) -> tuple[str, str]:
        pairs = (results.both(s, w, measure) for s in results.strategies for w in results.workloads)
        off = [abs(one - other) for one, other in filter(None, pairs)]
        return f"{fmean(off):.3f}", f"{max(off):.3f}"

    return {"measured": measured, "beside": beside, "deviation": deviation}


def _over(results: Results, several: Results) -> dict[str, object]:
    """Of the runs over several processes: their command, faults, and who was served."""
    faults = tables.integrity(several)
    head = ["", *several.strategies]
    return {
        "processes": several.plan.processes,
        "command": shlex.join(several.about["command"]),
        "said": integrity(several),
        "machine": machine(several),
        "faults": _table(faults.header, faults.rows),
        **{
            measure: _table(head, list(processes.beside(results, several, measure)))
            for measure in ("in_time", "served")
        },
    }


def _parts() -> dict[str, object]:
    def part(strategy: str, workload: str) -> str:
        found = _virtual(strategy, workload)
        told = [fmean(each[name] for each in found) for name in ("in_time", "served", "goodput")]
        in_time, served, goodput = (f"{value:.2f}".lstrip("0") for value in told)
        return f"{in_time} / {served}, {goodput}"

    rows = [[name, *(part(name, workload) for workload in WORKLOADS)] for name in PARTS]
    return {"parts": _table(["", *WORKLOADS], rows), "seeds": len(SEEDS)}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As Markdown has it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _lost(breadth: Breadth) -> dict[str, object]:
    """Cells that queue clearly loses to lock or reject, the worst first."""
    lost = [
        Loss(each.words, JUDGED[measure], each.other, each.mean)
        for measure in JUDGED
        for other in ("lock", "reject")
        for each in breadth.ordered(other, measure)
        if each.way < 0
    ]
    worst = breadth.worst_regret(breadth.subject, "in_time")
    return {"lost_cells": sorted(lost, key=lambda each: each.mean), "worst": worst}


@dataclass(frozen=True, slots=True)
class Loss:
    """A cell that is lost, in words."""

    words: str
    measure: str
    other: str
    mean: float


def _lines(*modules: str) -> int:
    """Lines of these modules of the strategies, with their comments."""
    files = (ROOT / "strategies" / f"{name}.py" for name in modules)
    return sum(len(file.read_text().splitlines()) for file in files)


@cache
def _virtual(strategy: str, workload: str) -> tuple[Figures, ...]:
    made = [WORKLOADS[workload](seed) for seed in SEEDS]
    return tuple(main_figures(simulate(strategy, each, chain=False), each) for each in made)


if __name__ == "__main__":
    main()
