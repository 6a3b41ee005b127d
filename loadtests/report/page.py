"""One text in two forms: a page that opens offline, and Markdown beside its figures."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from loadtests.report import tables
from loadtests.report.figures import all_figures
from loadtests.report.long_runs import LongRuns
from loadtests.report.results import Results
from loadtests.report.verdict import verdict

TEMPLATES = Path(__file__).parent / "templates"


def write_pages(results: Results, folder: Path, theory: LongRuns | None) -> None:
    """report.html, with everything in it, and report.md with the figures as files."""
    drawn = all_figures(results, theory)
    (folder / "figures").mkdir(exist_ok=True)
    for name, (svg, _) in drawn.items():
        (folder / "figures" / f"{name}.svg").write_text(svg)
    said = content(results)
    said["figures"] = drawn
    for name in ("report.html", "report.md"):
        text = templates().get_template(f"{name}.j2").render(said)
        (folder / name).write_text(text.rstrip() + "\n")


def _counted(names: Iterable[str]) -> str:
    """`overload-4 20, hot 4`: each with how often, the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common())


def templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def content(results: Results) -> dict[str, object]:
    """What the templates are given, but for the figures."""
    plan = results.plan
    return {
        "verdict": verdict(results),
        "integrity": tables.integrity(results),
        "differences": list(tables.differences(results)),
        "workloads": list(tables.by_workload(results)),
        "simulated": tables.simulated(results),
        "generator": tables.generator(results),
        "environment": tables.environment(results),
        "command": shlex.join(results.about["command"]),
        "plan": plan,
        "runs": len(results.runs),
        "late": len(results.late),
        "late_where": _counted(run.workload for run in results.late),
        "planned": len(plan.strategies) * len(plan.workloads) * plan.seeds,
        "subject": results.subject,
    }
