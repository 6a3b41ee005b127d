"""`runner compare` and `runner report`: real runs, and what they came to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadtests.commands import shared
from loadtests.controls import is_control
from runner import extras, start
from runner.cli.flags import UsageError, say, usage_errors
from runner.cli.status import StatusLine, Words

if TYPE_CHECKING:
    from loadtests.runs.compare import Batch, Step
    from loadtests.runs.plan import Folder, Plan


ABOVE_0 = click.FloatRange(min=0, min_open=True)


def split(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    """The names of an option that takes several, separated by commas; each once."""
    names = (name.strip() for name in (value or "").split(","))
    return list(dict.fromkeys(filter(None, names)))


@click.command("compare")
@click.option(
    "--profile",
    type=click.Choice(["smoke", "standard", "full"]),
    default="smoke",
    show_default=True,
    help="How much: about 2 minutes, about an hour (less with --at-once), or about ten hours.",
)
@click.option("--strategies", callback=split, metavar="A,B", help="queue, lock, yours:Class ...")
@click.option(
    "--workloads",
    callback=split,
    metavar="A,B",
    help="burst, hot, trace:FILE ...",
)
@click.option("--seeds", type=click.IntRange(1), help="Runs of each, with different schedules.")
@click.option("--agent", metavar="TARGET", help="Your own agent: package.module:attribute.")
@click.option("--service-s", type=ABOVE_0, metavar="S", help="Its mean service time, in seconds.")
@click.option("--services", type=ABOVE_0, metavar="N", help="Length of a run, in service times.")
@click.option(
    "--store",
    default="",
    metavar="URL",
    help="A Postgres server, postgresql://...: each run has a database on it. Default: memory.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="So many serve each run and share its database; each request goes to the next.",
)
@click.option(
    "--at-once",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Batches at the same time; the report says where that was too much for the machine.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("comparison"),
    show_default=True,
    help="Folder for raw data and report.",
)
@click.pass_context
def compare_command(
    context: click.Context,
    profile: str,
    strategies: list[str],
    workloads: list[str],
    seeds: int | None,
    agent: str | None,
    service_s: float | None,
    services: float | None,
    store: str,
    processes: int,
    at_once: int,
    out: Path,
) -> None:
    """Compare strategies on real servers under load, and write the report.

    Each strategy meets the same schedules of users: a server process for each run,
    driven by Locust, and every history checked for lost, doubled and reordered
    turns. The control `unprotected` shows what happens without a strategy.

    \b
    Examples:
      runner compare
      runner compare --profile standard --at-once 4 --out standard
      runner compare --strategies queue,my_module:Mine --workloads burst,overload-2
      runner compare --agent my_module:agent --service-s 2.5 --workloads steady-0.8
      runner compare --store postgresql://me@localhost/postgres --processes 2

    With --store the databases are made on that server and dropped again, so its user
    must be allowed to make some. Queue, lock and reject run over several processes,
    with the slots of one shared out among them. The control and strategies of your own
    cannot: what they know of a conversation stands in the memory of one process.

    The same command again goes on where it was cut off, and repeats runs whose
    generator was late. Exit status 1 where a strategy lost, doubled or reordered
    a turn. `runner simulate --help` lists the workloads.
    """
    _check_installed()
    from loadtests.runs.compare import compare
    from loadtests.runs.environment import describe
    from loadtests.runs.plan import MEMORY, POSTGRES, PROFILES, Folder, Plan

    shared.check(store, processes, strategies)
    usual = PROFILES[profile]
    plan = Plan(
        strategies=tuple(strategies) or shared.those(usual.strategies, store),
        workloads=tuple(workloads) or usual.workloads,
        seeds=seeds or usual.seeds,
        service_s=service_s or usual.service_s,
        services=services or usual.services,
        agent=agent or usual.agent,
        store=POSTGRES if store else MEMORY,
        processes=processes,
    )
    _check(plan)
    folder = Folder(out)
    with StatusLine(sys.stderr) as status, _failures():
        status.show(lambda after_s: f"looking what {out} has already")
        folder.begin(plan, ["runner", *shared.without_names(sys.argv[1:], store)], describe(store))

        def begin(batch: Batch) -> None:
            status.show(_waiting(batch))

        for step in compare(folder.plan(), folder, begin, at_once, store):
            status.clear()
            say(_progress(step))
    context.exit(_report(folder))


@contextmanager
def _failures() -> Iterator[None]:
    from loadtests.runs.processes import RunFailed

    try:
        with shared.told_what_postgres_says():
            yield
    except (ValueError, RunFailed) as error:
        raise click.ClickException(str(error)) from error


def _report(folder: Folder) -> int:
    """Write the report, and say its verdict; 1 where a strategy that is no control has a fault."""
    from loadtests.report import write_report
    from loadtests.report.breadth import MATRIX, load
    from loadtests.report.verdict import verdict

    with StatusLine(sys.stderr) as status, _failures():
        status.show(lambda after_s: f"writing the report, {after_s:.0f} s")
        results = write_report(folder)
        answer = verdict(results, load(folder.path / MATRIX))
    say("\n" + "\n".join(f"- {sentence}" for sentence in answer))
    say(f"\nThe report: {folder.path / 'report.html'}")
    return int(any(found for name, found in results.findings.items() if not is_control(name)))


def _waiting(batch: Batch) -> Words:
    head, most_s = f"{batch}: {len(batch.strategies)} servers under load", batch.expected_s
    about = f" of about {most_s:.0f}"
    return lambda after_s: f"{head}, {after_s:.0f} s{about if after_s < most_s else ''}"


def _check_installed() -> None:
    """Raises UsageError where Locust or what draws is missing."""
    if absent := extras.missing("loadtests", "locust", "matplotlib"):
        raise UsageError(absent)


def _check(plan: Plan) -> None:
    """Raises UsageError for a name that nothing goes by."""
    from loadtests.controls import check
    from loadtests.runs.agent import load
    from loadtests.workloads.shapes import make

    start.look_here()
    with usage_errors(ValueError):
        for strategy in plan.strategies:
            check(strategy)
        for name in plan.workloads:
            make(name, 1)
        if plan.agent:
            load(plan.agent)


def _progress(step: Step) -> str:
    left = f"{step.left_s / 60:.0f} min left" if step.left_s > 90 else f"{step.left_s:.0f} s left"
    found = [f"{name}: {findings}" for name, findings in step.findings.items() if findings]
    head = f"[{step.done}/{step.of}, {left}] {step.workload}, seed {step.seed}"
    return "\n".join([head, *(f"    {line}" for line in found)])


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.pass_context
def report_command(context: click.Context, folder: Path) -> None:
    """Write the report of a comparison again, from its data alone.

    FOLDER is what `runner compare --out` made. Where its raw data (runs.jsonl) are not there,
    figures.csv is enough. Exit status 1 as there.
    """
    _check_installed()
    from loadtests.runs.plan import Folder

    if not (folder / "plan.json").exists():
        raise UsageError(f"{folder} is not a comparison: it has no plan.json")
    context.exit(_report(Folder(folder)))
