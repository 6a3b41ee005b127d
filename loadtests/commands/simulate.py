"""`runner simulate`: the strategies in virtual time, under one's own traffic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadtests.commands.compare import split
from runner import start
from runner.cli.flags import UsageError, say, with_json

if TYPE_CHECKING:
    from loadtests.advice import Outcome, Target
    from loadtests.workloads import Workload


def _workloads() -> str:
    from loadtests.workloads import NAMES

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
@click.option("--strategies", callback=split, default="queue,lock,reject", show_default=True)
@click.option("--slots", type=click.IntRange(1), default=8, show_default=True, help="max_running")
@click.option("--backends", type=click.IntRange(1), help="Turns that the agent works at, at once.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--target", metavar="TEXT", help='"p95 under 30s for 99% of users": recommend.')
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
    seeds: int,
    target: str | None,
    as_json: bool,
) -> None:
    """Try strategies on your traffic in virtual time: hours in seconds.

    The strategies are the real classes; users, network and agent are simulated. With
    a target, setups are tried until one meets it, and that one is recommended.

    \b
    Examples:
      runner simulate --arrivals 0.5/s --service lognormal:4s --duration 1d
      runner simulate --trace server.log --strategies queue,reject
      runner simulate --workload overload-2
      runner simulate --arrivals 1/s --target "p95 under 30s for 99% of users"

    Each run is the same every time. It knows no cost of requests, so it is right
    where the agent takes far longer than the server.
    """
    from loadtests.advice import Target, candidates, recommend, try_out
    from loadtests.controls import find
    from loadtests.workloads import UnknownWorkload, from_trace, make
    from strategies.registry import UnknownStrategy

    start.look_here()
    try:
        for name in strategies:
            find(name)
        aim = Target.parse(target) if target else None
        if trace is not None:
            traffic = [from_trace(trace)]
        elif workload is not None:
            # Seconds are service times there.
            traffic = [make(workload, seed, service_s=1.0) for seed in range(1, seeds + 1)]
        else:
            traffic = _in_words(
                arrivals, service, clients, duration, conversations, backends, seeds
            )
    except (ValueError, UnknownStrategy, UnknownWorkload) as error:
        raise UsageError(str(error)) from error
    if not all(each.arrivals for each in traffic):
        raise UsageError("nobody comes in this time: say more --arrivals or a longer --duration")
    if aim is None:
        setups = candidates(strategies, traffic[0].backends or slots)
        outcomes = [try_out(setup, traffic) for setup in setups]
    else:
        outcomes = list(recommend(strategies, traffic, aim))
    say(_as_json(outcomes, aim) if as_json else _as_text(outcomes, traffic, aim))


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
    from loadtests import traffic
    from loadtests.workloads import parse_seconds

    mean_s, draw = traffic.parse_service(service)
    return [
        traffic.make_traffic(
            traffic.parse_rate(arrivals),
            (mean_s, draw),
            traffic.parse_clients(clients, mean_s),
            duration_s=parse_seconds(duration),
            conversations=conversations,
            backends=backends,
            seed=seed,
        )
        for seed in range(1, seeds + 1)
    ]


def _as_json(outcomes: Sequence[Outcome], target: Target | None) -> str:
    def plain(outcome: Outcome) -> dict[str, object]:
        fields = asdict(outcome)
        return {name: None if value == inf else value for name, value in fields.items()}

    found: dict[str, object] = {"outcomes": [plain(outcome) for outcome in outcomes]}
    if target is not None:
        found["recommended"] = plain(outcomes[-1])
        found["meets_target"] = outcomes[-1].meets(target)
    return json.dumps(found, indent=2)


def _as_text(
    outcomes: Sequence[Outcome], traffic: Sequence[Workload], target: Target | None
) -> str:
    first = traffic[0]
    turns = sum(len(workload.arrivals) for workload in traffic)
    head = ("", "served", "in time", "p50 s", "p95 s", "p99 s", "attempts", "for nobody", "waiting")
    rows = [head, *(_row(outcome) for outcome in outcomes)]
    width = max(len(row[0]) for row in rows)
    lines = [
        f"{turns:,} users' turns in {len(traffic)} runs of {first.horizon_s:,.0f} s; "
        f"mean service {first.service_s:g} s",
        "",
        *(f"{row[0]:<{width}} " + " ".join(f"{c:>10}" for c in row[1:]) for row in rows),
        "",
        "served: had an answer at last; in time: within one timeout; p50 to p99: time to answer",
        "of all users, retries included; attempts: requests for an answer; for nobody: share of",
        "the agent's work; waiting: most turns that waited at once. Slots are max_running, the",
        "bound is max_waiting_per_conversation.",
    ]
    if target is not None:
        lines += ["", *_advice(outcomes[-1], target)]
    return "\n".join(lines)


def _row(outcome: Outcome) -> tuple[str, ...]:
    times = (outcome.p50_s, outcome.p95_s, outcome.p99_s)
    return (
        str(outcome.setup),
        f"{outcome.served:.1%}",
        f"{outcome.in_time:.1%}",
        *("never" if value == inf else f"{value:.1f}" for value in times),
        f"{outcome.attempts:.2f}",
        f"{outcome.wasted:.1%}",
        f"{outcome.waiting_most:.0f}",
    )


def _advice(best: Outcome, target: Target) -> list[str]:
    if not best.meets(target):
        return [
            f"No setup meets the target ({target}).",
            f"The nearest: {best.setup}; it serves {best.served:.1%} of the users. What would help "
            "is capacity: a faster agent, more of them, or fewer turns in one conversation.",
        ]
    lines = [f"Recommended for {target}:", "", "  [strategy]", f'  name = "{best.setup.strategy}"']
    if best.setup.strategy == "queue":
        lines.append(f"  max_running = {best.setup.slots}")
        lines.append(f"  max_waiting_per_conversation = {best.setup.bound}")
    return lines
