"""What each strategy came to on real servers, by load and by workload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from math import inf, isfinite, nan

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from loadtests.measures.figures import MEASURES
from loadtests.measures.intervals import interval
from loadtests.report.drawing import (
    MARKS,
    ROW_IN,
    Drawn,
    canvas,
    colour,
    draw,
    legend_above,
    row_names,
)
from loadtests.report.results import Results
from loadtests.report.verdict import IN_TIME
from loadtests.report.words import listed, percent

LOADED = re.compile(r"(?:steady|overload)-([\d.]+)")
"""Workloads that differ in their load alone."""


def measured(results: Results) -> Iterator[Drawn]:
    """Those that the runs have data for."""
    if len(_loads(results)) > 1:
        yield _by_load(results)
    yield _cost(results)


def _loads(results: Results) -> dict[str, float]:
    """Workload -> load, in order of the load, of those that differ in nothing else."""
    found = ((name, LOADED.fullmatch(name)) for name in results.workloads)
    loads = {name: float(match[1]) for name, match in found if match}
    return dict(sorted(loads.items(), key=lambda item: item[1]))


def _by_load(results: Results) -> Drawn:
    name, load = list(_loads(results).items())[-1]
    kept = [results.subject, *results.others]
    useful = [
        f"{percent(results.middle(strategy, name, 'goodput'))} under {strategy}"
        for strategy in kept
    ]
    title = f"At load {load:g} the share of the agent's work that is useful is {listed(useful)}"
    about = "Against offered load; means of the runs with 95 % intervals."
    return draw("by-load", title, about, partial(_draw_by_load, results))


def _draw_by_load(results: Results) -> Figure:
    loads = _loads(results)
    figure, panels = canvas(4.2, rows=2)
    for axes, measure in zip(panels, ("goodput", IN_TIME), strict=True):
        for strategy in (results.subject, *results.others):
            shade, mark = colour(strategy, results.strategies), MARKS.get(strategy, "d")
            means = [results.middle(strategy, name, measure) for name in loads]
            axes.plot(
                list(loads.values()),
                [mean if mean < inf else nan for mean in means],
                f"{mark}-",
                color=shade,
                label=strategy,
                markersize=4,
                linewidth=1.3,
            )
            for name, load in loads.items():
                values = [v for v in results.values(strategy, name, measure) if isfinite(v)]
                low, high = interval(values)
                if low is not None and high is not None:
                    axes.plot([load, load], [low, high], color=shade, linewidth=2.5, alpha=0.4)
        axes.set_ylabel(MEASURES[measure].title)
        axes.set_ylim(0, 1.02)
    axes = panels[-1]
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(loads.values()), [f"{load:g}" for load in loads.values()])
    axes.minorticks_off()
    axes.set_xlabel("offered load")
    legend_above(figure, panels[0])
    return figure


def _cost(results: Results) -> Drawn:
    most = []
    for strategy in (results.subject, *results.others):
        shares = [(results.middle(strategy, name, "wasted"), name) for name in results.workloads]
        share, name = max((pair for pair in shares if isfinite(pair[0])), default=(nan, ""))
        if name:
            most.append(f"{percent(share)} under {strategy} ({name})")
    title = "Nothing is known of the agent's work for nobody"
    if most:
        title = f"The agent's work for nobody is at most {listed(most)}"
    about = "What an answer costs, by workload: work for clients that had gone, and requests."
    return draw("cost", title, about, partial(_draw_cost, results))


def _draw_cost(results: Results) -> Figure:
    strategies = [results.subject, *results.others]
    wasted = {name: _worst(results, name, strategies) for name in results.workloads}
    names = sorted(wasted, key=lambda name: -wasted[name])
    figure, panels = canvas(0.9 + ROW_IN * len(names), columns=2, sharey=True)
    for axes, measure in zip(panels, ("wasted", "attempts"), strict=True):
        for order, strategy in enumerate(strategies):
            figures = [results.middle(strategy, name, measure) for name in names]
            axes.plot(
                [figure if isfinite(figure) else nan for figure in figures],
                range(len(names)),
                MARKS.get(strategy, "d"),
                color=colour(strategy, results.strategies),
                label=strategy,
                markersize=4.5,
                zorder=9 - order,
            )
    panels[1].set_xscale("log")
    panels[1].xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    panels[1].xaxis.set_major_formatter("{x:g}")
    panels[1].minorticks_off()
    panels[0].set_xlabel("share for nobody", fontsize=8)
    panels[1].set_xlabel("requests an answer", fontsize=8)
    row_names(panels[0], names)
    panels[1].tick_params(axis="y", length=0)
    panels[1].spines["left"].set_visible(False)
    legend_above(figure, panels[0])
    return figure


def _worst(results: Results, workload: str, strategies: list[str]) -> float:
    shares = [results.middle(strategy, workload, "wasted") for strategy in strategies]
    return max(filter(isfinite, shares), default=0.0)
