"""One text in two forms: a page that opens offline, and Markdown beside its figures."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from loadtests.report import (
    breadth_figures,
    breadth_tables,
    drawing,
    effects,
    figures,
    svg,
    tables,
    words,
)
from loadtests.report.breadth import MATRIX, Breadth, load
from loadtests.report.results import Results
from loadtests.report.verdict import integrity, verdict

TEMPLATES = Path(__file__).parent / "templates"


def write_pages(results: Results, source: Path, to: Path | None = None) -> None:
    """Write report.html, with everything in it, and report.md with the figures as files.

    source  where the comparison is: its matrix of simulated cells is read if there is one.
    to      the folder to write into, by default the same.
    """
    to, breadth = to or source, load(source / MATRIX)
    said = content(results, breadth)
    cells = list(breadth_figures.simulated(breadth)) if breadth else []
    real = [*effects.measured(results), *figures.measured(results)]
    _write_figures(to / "figures", [*cells, *real])
    said |= {"of_cells": cells, "of_runs": real}
    said["said"] = said  # What a macro is given as a whole.
    for name in ("report.html", "report.md"):
        text = templates().get_template(f"{name}.j2").render(said)
        (to / name).write_text(text.rstrip() + "\n")


def _write_figures(folder: Path, drawn: Iterable[drawing.Drawn]) -> None:
    """The figures, and no others from an earlier report."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for figure in drawn:
        (folder / f"{figure.name}.svg").write_text(svg.as_file(figure.svg))


def _counted(names: Iterable[str]) -> str:
    """`overload-4 20, hot 4`: each with how often, the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common())


def templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["unbroken"] = _unbroken
    return made


def _unbroken(cell: str) -> str:
    """With each interval on one line, and each `by 0.31`."""
    pattern = r"\[[^]]*\]|by \d"
    return re.sub(pattern, lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), cell)


def content(results: Results, breadth: Breadth | None = None) -> dict[str, object]:
    """What the templates are given, but for the figures."""
    plan = results.plan
    return {
        "answer": verdict(results, breadth),
        "integrity_said": integrity(results),
        "integrity": tables.integrity(results),
        "breadth": breadth,
        "won": breadth_tables.won(breadth) if breadth else None,
        "lost": breadth_tables.lost(breadth) if breadth else None,
        "regret": breadth_tables.regret(breadth) if breadth else None,
        "differences": list(tables.differences(results)),
        "workloads": list(tables.by_workload(results)),
        "simulated": tables.simulated(results) if results.is_simulated else None,
        "generator": tables.generator(results),
        "environment": tables.environment(results),
        "glossary": words.glossary(),
        "command": shlex.join(results.about["command"]),
        "commit": results.about["environment"].get("commit", ""),
        "went_on_at": results.about.get("went_on_at", []),
        "corrections": results.about.get("corrections", []),
        "plan": plan,
        "runs": len(results.runs),
        "late": len(results.late),
        "late_where": _counted(row.workload for row in results.late),
        "repeated": results.repeated,
        "batches": results.batches,
        "planned": len(plan.strategies) * len(plan.workloads) * plan.seeds,
        "subject": results.subject,
        "palette": {"light": svg.variables(dark=False), "dark": svg.variables(dark=True)},
    }
