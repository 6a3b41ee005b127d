"""The report's tables, as data: a title, a header and rows of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import isfinite, nan
from statistics import fmean

from loadtests.measures.figures import LAG_LIMIT_S, MEASURES, figures, lag_s, percentile
from loadtests.measures.histories import Findings
from loadtests.report.results import Results, show, show_effect
from loadtests.simulation.simulate import simulate
from loadtests.workloads import shapes

TOLD = (
    *("served", "in_time", "goodput", "p50", "p95", "p99", "waited", "ran"),
    *("attempts", "wasted", "inversions", "fairness", "depth_max", "run_twice"),
)
COMPARED = ("served", "in_time", "goodput", "p50", "p95", "attempts", "wasted")
SIMULATED_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Table:
    """`about` says what to look at; every row has as many cells as the header."""

    title: str
    about: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def integrity(results: Results) -> Table:
    """The faults of each strategy, over all runs."""
    names = tuple(field.name for field in fields(Findings))
    rows = [
        (
            strategy,
            str(sum(run.strategy == strategy for run in results.runs)),
            f"{results.turns(strategy):,}",
            *(f"{getattr(results.findings[strategy], name):,}" for name in names),
        )
        for strategy in results.strategies
    ]
    return Table(
        "Integrity",
        "All should be 0, but for the control's. Lost: answered, and not in the history where "
        "the answer said. Duplicated: in it twice. Reordered: an answer that came before another "
        "message was sent stands after it. Orphaned: in it, though its client was told "
        "otherwise. Stale: the reply does not stand on the turns before it. Digests: histories "
        "that differ from a serial replay. Server: counters that disagree, or a bad exit.",
        ("strategy", "runs", "users' turns", *names),
        tuple(rows),
    )


def by_workload(results: Results) -> Iterator[Table]:
    """One table for each workload: all measures of each strategy."""
    for workload in results.workloads:
        measures = [
            name
            for name in (*TOLD, *(("quiet_p95",) if workload == "hot" else ()))
            if any(_known(results, strategy, workload, name) for strategy in results.strategies)
        ]
        rows = tuple(
            (
                MEASURES[name].title,
                MEASURES[name].unit,
                *(show(results.middle(s, workload, name), name) for s in results.strategies),
            )
            for name in measures
        )
        header = ("measure", "unit", *results.strategies)
        about = shapes.NAMES.get(workload, "your own traffic")
        yield Table(workload, about[0].upper() + about[1:] + ".", header, rows)


def _known(results: Results, strategy: str, workload: str, measure: str) -> bool:
    return show(results.middle(strategy, workload, measure), measure) != "-"


def differences(results: Results) -> Iterator[Table]:
    """One for each other strategy: the subject less it, paired by seed."""
    for other in results.others:
        rows = tuple(
            (
                workload,
                *(
                    show_effect(results.effect(workload, name, other), runs=False)
                    for name in COMPARED
                ),
                str(_pairs(results, workload, other)),
            )
            for workload in results.workloads
        )
        yield Table(
            f"{results.subject} less {other}",
            "Mean of the differences, paired by seed, with a 95 % interval by the bootstrap-t "
            "where there are ten pairs. Times in service times; pairs in which either never "
            "answered so many are left out of a time's difference.",
            ("workload", *(MEASURES[name].title for name in COMPARED), "pairs"),
            rows,
        )


def _pairs(results: Results, workload: str, other: str) -> int:
    effect = results.effect(workload, "served", other)
    return effect.runs if effect else 0


def generator(results: Results) -> Table:
    """How late the generator was, for each strategy."""
    rows = []
    for strategy in results.strategies:
        lags = [lag_s(run) for run in results.runs if run.strategy == strategy]
        late = sum(lag > LAG_LIMIT_S for lag in lags)
        refused = sum(run.refused_by_pool for run in results.runs if run.strategy == strategy)
        middle, worst = (f"{percentile(lags, share) * 1000:.1f}" for share in (0.5, 1.0))
        rows.append((strategy, middle, worst, f"{late} of {len(lags)}", str(refused)))
    return Table(
        "The generator",
        f"How late turns were begun, 99th percentile of each run. A run above "
        f"{LAG_LIMIT_S * 1000:.0f} ms is marked as late; the same command again repeats it.",
        ("strategy", "median run, ms", "worst run, ms", "late runs", "turns not sent"),
        tuple(rows),
    )


def simulated(results: Results) -> Table:
    """The same schedules in virtual time, beside the real runs."""
    rows = []
    for workload in results.workloads:
        for strategy in (results.subject, *results.others):
            real, virtual = (_mean_of(results, strategy, workload, way) for way in (False, True))
            off = virtual - real
            rows.append((workload, strategy, show(real), show(virtual), f"{off:+.2f}"))
    return Table(
        "Simulation beside measurement",
        f"Users served, mean of the first {SIMULATED_SEEDS} seeds: the same strategy classes and "
        "the same schedules, over sockets and in virtual time.",
        ("workload", "strategy", "measured", "simulated", "difference"),
        tuple(rows),
    )


def _mean_of(results: Results, strategy: str, workload: str, virtual: bool) -> float:
    served = []
    for seed in range(1, SIMULATED_SEEDS + 1):
        run = results.run(strategy, workload, seed)
        if run is None:
            continue
        if virtual:
            run = simulate(strategy, results.workload(run))
            served.append(figures(run, results.workload(run))["served"])
        else:
            served.append(results.figures[strategy, workload][seed]["served"])
    finite = [value for value in served if isfinite(value)]
    return fmean(finite) if finite else nan


def environment(results: Results) -> Table:
    about = results.about["environment"]
    rows = tuple((name.replace("_", " "), str(value)) for name, value in about.items())
    return Table("Environment", "", ("what", "which"), rows)
