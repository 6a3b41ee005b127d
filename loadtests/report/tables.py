"""The report's tables, as data: a title, a header and rows of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from loadtests.measures.figures import LAG_LIMIT_S, MEASURES, percentile
from loadtests.measures.histories import Findings
from loadtests.report.results import Results
from loadtests.report.rows import SIMULATED_SEEDS
from loadtests.report.verdict import JUDGED
from loadtests.report.words import show, versus
from loadtests.workloads import shapes

COMPARED = ("in_time", "served", "goodput", "attempts", "wasted")
UNTOLD = ("p50", "depth_mean")
"""Half of the users wait for less than p50, whatever becomes of the others: it misleads."""

HANDED_OVER = (
    "Handed over: turns that another process ran than the one before them in their conversation. "
)


@dataclass(frozen=True, slots=True)
class Table:
    """`about` says what to look at; every row has as many cells as the header."""

    title: str
    about: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def integrity(results: Results) -> Table:
    """The faults of each strategy, over all runs."""
    names, several = tuple(field.name for field in fields(Findings)), results.plan.processes > 1
    rows = [
        (
            strategy,
            str(sum(row.strategy == strategy for row in results.runs)),
            f"{results.turns(strategy):,}",
            *([f"{results.crossings(strategy):,}"] if several else ()),
            *(f"{getattr(results.findings[strategy], name):,}" for name in names),
        )
        for strategy in results.strategies
    ]
    return Table(
        f"Integrity over {results.plan.processes} processes" if several else "Integrity",
        f"{HANDED_OVER if several else ''}All {'others ' if several else ''}"
        "should be 0, but for the control's. Lost: answered, and not in the history where "
        "the answer said. Duplicated: in it twice. Reordered: an answer that came before another "
        "message was sent stands after it. Orphaned: in it, though its client was told "
        "otherwise. Stale: the reply does not stand on the turns before it. Digests: histories "
        "that differ from a serial replay. Server: counters that disagree, or a bad exit.",
        ("strategy", "runs", "users' turns", *(["handed over"] if several else ()), *names),
        tuple(rows),
    )


def by_workload(results: Results) -> Iterator[Table]:
    """One table for each workload: all measures of each strategy that the runs know."""
    for workload in results.workloads:
        measures = [
            name
            for name in MEASURES
            if name not in UNTOLD
            and any(_known(results, strategy, workload, name) for strategy in results.strategies)
        ]
        rows = tuple(
            (
                MEASURES[name].title,
                *(show(results.middle(s, workload, name), name) for s in results.strategies),
            )
            for name in measures
        )
        header = ("measure", *results.strategies)
        about = shapes.NAMES.get(workload, "your own traffic")
        yield Table(
            workload, f"{about[0].upper()}{about[1:]}. Times in service times.", header, rows
        )


def _known(results: Results, strategy: str, workload: str, measure: str) -> bool:
    return show(results.middle(strategy, workload, measure), measure) != "-"


def differences(results: Results) -> Iterator[Table]:
    """One for each other strategy: how the subject fares against it, paired by seed."""
    compared = [name for name in COMPARED if name in MEASURES]
    for other in results.others:
        rows = tuple(
            (
                workload,
                *(versus(results.effect(workload, name, other), name) for name in compared),
                str(_pairs(results, workload, other)),
            )
            for workload in results.workloads
        )
        yield Table(
            f"{results.subject} against {other}",
            f"How {results.subject} fares: the mean of the differences, paired by seed, with its "
            "95 % interval. A tie is no clear difference; its interval is "
            f"{results.subject} less {other}.",
            ("workload", *(MEASURES[name].title for name in compared), "pairs"),
            rows,
        )


def _pairs(results: Results, workload: str, other: str) -> int:
    effect = results.effect(workload, JUDGED[0], other)
    return effect.runs if effect else 0


def generator(results: Results) -> Table:
    """How late the generator was, for each strategy."""
    rows = []
    for strategy in results.strategies:
        runs = [row for row in results.runs if row.strategy == strategy]
        lags = [row.lag_ms for row in runs]
        late = sum(lag > LAG_LIMIT_S * 1000 for lag in lags)
        middle, worst = (f"{percentile(lags, share):.1f}" for share in (0.5, 1.0))
        counts = (sum(row.repeats for row in runs), sum(row.unsent for row in runs))
        rows.append((strategy, middle, worst, f"{late} of {len(lags)}", *map(str, counts)))
    return Table(
        "The generator",
        f"How late turns were begun, 99th percentile of each run. A run above "
        f"{LAG_LIMIT_S * 1000:.0f} ms is marked as late; the same command again repeats its batch.",
        ("strategy", "median run, ms", "worst run, ms", "late runs", "repeats", "turns not sent"),
        tuple(rows),
    )


def simulated(results: Results) -> Table:
    """The same schedules in virtual time, beside the real runs."""
    rows = []
    for workload in results.workloads:
        for strategy in (results.subject, *results.others):
            cells = [
                cell
                for measure in JUDGED
                for cell in _beside(results.both(strategy, workload, measure))
            ]
            rows.append((workload, strategy, *cells))
    heads = [
        f"{MEASURES[measure].title}: {what}"
        for measure in JUDGED
        for what in ("measured", "simulated", "off")
    ]
    return Table(
        "Measured and simulated",
        f"Means of the first {SIMULATED_SEEDS} seeds: the same strategy classes and the same "
        "schedules, over sockets and in virtual time.",
        ("workload", "strategy", *heads),
        tuple(rows),
    )


def _beside(both: tuple[float, float] | None) -> tuple[str, str, str]:
    if both is None:
        return "-", "-", "-"
    real, virtual = both
    return show(real), show(virtual), f"{abs(virtual - real):.2f}"


def environment(results: Results) -> Table:
    about = results.about["environment"]
    rows = tuple((name.replace("_", " "), str(value)) for name, value in about.items())
    return Table("Environment", "", ("what", "which"), rows)
