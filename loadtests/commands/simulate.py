"""`runner simulate`: the strategies in virtual time, under one's own traffic."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadtests.commands.compare import split
from loadtests.commands.outcomes import as_json_text, as_text
from runner import start
from runner.cli.flags import UsageError, say, usage_errors, with_json
from runner.cli.status import StatusLine

if TYPE_CHECKING:
    from loadtests.simulation.advice import Outcome, Setup, Target
    from loadtests.workloads.workload import Workload


def _workloads() -> str:
    from loadtests.workloads.shapes import NAMES

    return "\b\nWorkloads:\n" + "\n".join(f"  {name:<17} {about}" for name, about in NAMES.items())


@click.command("simulate", epilog=_workloads())
@click.option("--arrivals", default="0.2/s", show_default=True, metavar="RATE", help="Or 30/m ...")
@click.option(
    "--service",
    default="lognormal:4s",
    show_default=True,
    metavar="DIST:MEAN",
    help="lognormal (or :MEAN:SIGMA), exponential or constant.",
)
@click.option("--conversations", type=click.IntRange(1), default=100, show_default=True)
@click.option("--duration", default="2h", show_default=True, metavar="TIME", help="Up to days.")
@click.option(
    "--clients",
    default="backoff,timeout=60s,patience=3m",
    show_default=True,
    metavar="WORDS",
    help="give-up, fixed, openai or backoff; silent: no deadline is told; stay: nobody leaves.",
)
@click.option("--trace", type=click.Path(path_type=Path, exists=True), help="Your own log instead.")
@click.option("--workload", metavar="NAME", help="A workload of `runner compare` instead.")
@click.option("--strategies", callback=split, help="[default: queue,lock,reject]")
@click.option("--slots", type=click.IntRange(1), default=8, show_default=True, help="max_running")
@click.option("--backends", type=click.IntRange(1), help="Turns that the agent works at, at once.")
@click.option("--seeds", type=click.IntRange(1), help="[default: 3; with --matrix: 8]")
@click.option("--target", metavar="TEXT", help='"p95 under 30s for 99% of users": recommend.')
@click.option(
    "--matrix", is_flag=True, help="All kinds of clients at all loads, queue against all."
)
@click.option(
    "--timeout",
    type=click.FloatRange(1.0),
    default=10.0,
    show_default=True,
    help="Of the clients in --matrix, in mean service times.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="--matrix as CSV.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@with_json
def simulate_command(
    arrivals: str,
    service: str,
    conversations: int,
    duration: str,
    clients: str,
    trace: Path | None,
    workload: str | None,
    strategies: list[str],
    slots: int,
    backends: int | None,
    seeds: int | None,
    target: str | None,
    matrix: bool,
    timeout: float,
    out: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Try strategies on your traffic in virtual time: hours in seconds.

    The strategies are the real classes; users, network and agent are simulated. With
    a target, setups are tried until one meets it, and that one is recommended. The matrix
    is the evidence for the default: queue against each of the others in some 500 cells.

    \b
    Examples:
      runner simulate --arrivals 0.5/s --service lognormal:4s --duration 1d
      runner simulate --trace server.log --strategies queue,reject
      runner simulate --workload overload-2
      runner simulate --arrivals 1/s --target "p95 under 30s for 99% of users"
      runner simulate --matrix --out matrix.csv

    Each run is the same every time. It knows no cost of requests, so it is right
    where the agent takes far longer than the server.
    """
    start.look_here()
    if matrix:
        _matrix(strategies, timeout, seeds, jobs, out, as_json=as_json)
        return
    strategies, seeds = strategies or ["queue", "lock", "reject"], seeds or 3
    with StatusLine(sys.stderr) as status:
        status.show(lambda after_s: f"making the traffic, {after_s:.0f} s")
        with usage_errors(ValueError):
            aim = _target(strategies, target)
            if trace is not None:
                traffic = _from_log(trace)
            elif workload is not None:
                traffic = _named(workload, seeds)
            else:
                traffic = _in_words(
                    arrivals, service, clients, duration, conversations, backends, seeds
                )
        if not all(each.arrivals for each in traffic):
            raise UsageError("nobody comes in this time: more --arrivals or a longer --duration")
        outcomes = _try_out(strategies, traffic, slots, aim, status)
    say(as_json_text(outcomes, aim) if as_json else as_text(outcomes, traffic, aim))


def _matrix(
    strategies: Sequence[str],
    timeout: float,
    seeds: int | None,
    jobs: int,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    from loadtests.controls import check
    from loadtests.simulation import table
    from loadtests.simulation.cells import cells
    from loadtests.simulation.matrix import EVERYWHERE, OPPONENTS, SCREEN_SEEDS, matrix

    with usage_errors(ValueError):
        for name in strategies:
            check(name)
    with StatusLine(sys.stderr) as status:

        def tell(words: str) -> None:
            status.show(lambda after_s: f"{words}, {after_s:.0f} s")

        tried = strategies or (*EVERYWHERE, *OPPONENTS)
        rows = matrix(
            list(cells(timeout)), tried, seeds=seeds or SCREEN_SEEDS, jobs=jobs, tell=tell
        )
    if out is not None:
        table.write_csv(rows, out)
    say(table.as_json_text(rows) if as_json else table.as_text(rows))


def _target(strategies: Sequence[str], target: str | None) -> Target | None:
    """The target that is to be met, if there is one; every strategy is known. Raises ValueError."""
    from loadtests.controls import check
    from loadtests.simulation.advice import Target

    for name in strategies:
        check(name)
    return Target.parse(target) if target else None


def _try_out(
    strategies: Sequence[str],
    traffic: Sequence[Workload],
    slots: int,
    target: Target | None,
    status: StatusLine,
) -> list[Outcome]:
    """Each strategy under the traffic; with a target, setups up to the one that is recommended."""
    from loadtests.simulation.advice import candidates, recommend, try_out

    def begin(setup: Setup) -> None:
        runs = f"{len(traffic)} runs in virtual time"
        status.show(lambda after_s: f"{setup}: {runs}, {after_s:.0f} s")

    if target is not None:
        return list(recommend(strategies, traffic, target, begin))
    outcomes: list[Outcome] = []
    for setup in candidates(strategies, traffic[0].backends or slots):
        begin(setup)
        outcomes.append(try_out(setup, traffic))
    return outcomes


def _from_log(path: Path) -> list[Workload]:
    from loadtests.workloads.traces import from_trace

    return [from_trace(path)]


def _named(name: str, seeds: int) -> list[Workload]:
    """A workload of the comparison, once for each seed; seconds are service times there."""
    from loadtests.workloads.shapes import make

    return [make(name, seed, service_s=1.0) for seed in range(1, seeds + 1)]


def _in_words(
    arrivals: str,
    service: str,
    clients: str,
    duration: str,
    conversations: int,
    backends: int | None,
    seeds: int,
) -> list[Workload]:
    """The traffic that the options describe, once for each seed. Raises ValueError."""
    from loadtests.workloads import in_words
    from loadtests.workloads.in_words import parse_seconds

    mean_s, draw = in_words.parse_service(service)
    return [
        in_words.make_traffic(
            in_words.parse_rate(arrivals),
            (mean_s, draw),
            in_words.parse_clients(clients, mean_s),
            duration_s=parse_seconds(duration),
            conversations=conversations,
            backends=backends,
            seed=seed,
        )
        for seed in range(1, seeds + 1)
    ]
