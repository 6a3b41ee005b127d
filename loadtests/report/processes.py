"""Several processes that share a database, beside the one process of another comparison."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from loadtests.report.results import Results
from loadtests.report.words import show


def beside(one: Results, several: Results, measure: str) -> Iterator[tuple[str, ...]]:
    """A row for each workload that both have: `0.56 / 0.55` for each strategy.

    Means over the seeds that both have: the same schedules of the same users.
    """
    for workload in several.workloads:
        if workload in one.workloads:
            cells = (_pair(one, several, name, workload, measure) for name in several.strategies)
            yield (workload, *cells)


def _pair(one: Results, several: Results, strategy: str, workload: str, measure: str) -> str:
    ways = [each.figures(strategy, workload) for each in (one, several)]
    seeds = sorted(ways[0].keys() & ways[1].keys())
    if not seeds:
        return "-"
    return " / ".join(show(fmean(way[seed][measure] for seed in seeds), measure) for way in ways)
