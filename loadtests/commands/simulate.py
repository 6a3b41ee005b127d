"""`runner simulate`: the strategies in virtual time, under one's own traffic."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadtests.commands.compare import split
from loadtests.commands.matrix import show_matrix
from loadtests.commands.outcomes import advice_as_json, advice_as_text, as_json_text, as_text
from loadtests.commands.traffic import FRESH, SEEDS, USERS, Words
from runner import start
from runner.cli.flags import UsageError, say, usage_errors, with_json
from runner.cli.status import StatusLine

if TYPE_CHECKING:
    from loadtests.simulation.setups import Setup
    from loadtests.simulation.trials import Outcome
    from loadtests.workloads.workload import Workload

BUILT_IN = ("queue", "lock", "reject")
SEARCHED = f"with a target, as long as {USERS} users take"
JUDGED = f"with a target, {FRESH} to judge on"
SCREENED = "with --matrix, 4, and half as many at the highest load"


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
@click.option("--duration", metavar="TIME", help=f"Up to days.  [default: 2h; {SEARCHED}]")
@click.option(
    "--clients",
    default="backoff,timeout=60s,patience=3m",
    show_default=True,
    metavar="WORDS",
    help="give-up, fixed, openai or backoff; silent: no deadline is told; stay: nobody leaves.",
)
@click.option("--trace", type=click.Path(path_type=Path, exists=True), help="Your own log instead.")
@click.option("--workload", metavar="NAME", help="A workload of `runner compare` instead.")
@click.option("--strategies", callback=split, help=f"[default: {','.join(BUILT_IN)}]")
@click.option("--slots", type=click.IntRange(1), default=8, show_default=True, help="max_running")
@click.option("--backends", type=click.IntRange(1), help="Turns that the agent works at, at once.")
@click.option(
    "--seeds", type=click.IntRange(1), help=f"Runs.  [default: {SEEDS}; {JUDGED}; {SCREENED}]"
)
@click.option("--target", metavar="TEXT", help='"p95 under 30s for 99% of users": recommend.')
@click.option("--matrix", is_flag=True, help="Queue against all, in 500 kinds of traffic.")
@click.option(
    "--timeout",
    type=click.FloatRange(1.0),
    default=10.0,
    show_default=True,
    help="Of the clients of --matrix, in mean service times.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="--matrix as CSV.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="For --matrix.")
@with_json
def simulate_command(
    arrivals: str,
    service: str,
    conversations: int,
    duration: str | None,
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
    a target, strategy, slots, bound and max_wait_s are searched together: the fewest slots
    that meet it, or what serves most. The best are judged on runs that the search did not see.
    The matrix is the evidence for the defaults; it takes minutes, and needs no other option.

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
        others = ("arrivals", "service", "conversations", "duration", "clients", "trace")
        _alone("--matrix", (*others, "workload", "slots", "backends", "target"))
        show_matrix(strategies, timeout, seeds, jobs, out, as_json=as_json)
        return
    strategies = strategies or list(BUILT_IN)
    words = Words(
        arrivals, service, clients, conversations, duration, backends, trace, workload, seeds
    )
    with StatusLine(sys.stderr) as status:
        status.show(lambda after_s: f"making the traffic, {after_s:.0f} s")
        if target is None:
            text = _compare(strategies, words, slots, status, as_json)
        else:
            text = _advise(strategies, words, target, status, as_json)
    say(text)


def _alone(option: str, others: Sequence[str]) -> None:
    """Refuse options that would be ignored. Raises UsageError."""
    context = click.get_current_context()
    given = context.get_parameter_source
    for name in others:
        if given(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"{option} has its own traffic: leave --{name} out")


def _compare(
    strategies: Sequence[str], words: Words, slots: int, status: StatusLine, as_json: bool
) -> str:
    """Each strategy under the traffic."""
    from loadtests.simulation.setups import candidates
    from loadtests.simulation.trials import try_out

    with usage_errors(ValueError):
        _check(strategies)
        traffic = words.to_compare()
    _is_traffic(traffic)
    runs = f"{len(traffic)} runs in virtual time"

    def outcome(setup: Setup) -> Outcome:
        status.show(lambda after_s: f"{setup}: {runs}, {after_s:.0f} s")
        return try_out(setup, traffic)

    outcomes = list(map(outcome, candidates(strategies, traffic[0].backends or slots)))
    return as_json_text(outcomes) if as_json else as_text(outcomes, traffic)


def _advise(
    strategies: Sequence[str], words: Words, target: str, status: StatusLine, as_json: bool
) -> str:
    """The setup that is recommended, and why."""
    from loadtests.simulation.search import recommend
    from loadtests.simulation.setups import Target

    with usage_errors(ValueError):
        _check(strategies)
        aim = Target.parse(target)
        traffic = words.to_search()
    _is_traffic(traffic.screening + traffic.judging)
    tried: list[Setup] = []

    def begin(setup: Setup) -> None:
        tried.append(setup)
        status.show(lambda after_s: f"{setup}: try {len(tried)} in virtual time, {after_s:.0f} s")

    advice = recommend(strategies, traffic, aim, begin)
    return advice_as_json(advice, traffic) if as_json else advice_as_text(advice, traffic)


def _check(strategies: Sequence[str]) -> None:
    """That every strategy is known. Raises ValueError."""
    from loadtests.controls import check

    for name in strategies:
        check(name)


def _is_traffic(traffic: Sequence[Workload]) -> None:
    if not all(each.arrivals for each in traffic):
        raise UsageError("nobody comes in this time: more --arrivals or a longer --duration")
