"""The figures of what was measured. The title of each is what it came to, from the data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from math import inf, isfinite, nan

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from loadtests.measures.figures import MEASURES
from loadtests.measures.intervals import Effect, interval
from loadtests.report.drawing import (
    CLEAR_LOSS,
    CLEAR_WIN,
    GRID,
    INK,
    MARKS,
    TIE,
    Drawn,
    canvas,
    colour,
    draw,
    legend_above,
    row_names,
    spans,
    whose,
)
from loadtests.report.results import Results
from loadtests.report.verdict import IN_TIME, deviation
from loadtests.report.words import better, counted, listed, percent, show

LOADED = re.compile(r"(?:steady|overload)-([\d.]+)")
"""Workloads that differ in their load alone."""

ROW_IN = 0.2
WAYS = {1: CLEAR_WIN, 0: TIE, -1: CLEAR_LOSS}


def measured(results: Results) -> Iterator[Drawn]:
    """All figures that the runs have data for."""
    for other in results.others:
        yield _effects(results, other)
    if drawn := _beside(results):
        yield drawn
    if len(_loads(results)) > 1:
        yield _by_load(results)
    yield _cost(results)


def _effects(results: Results, other: str) -> Drawn:
    subject = results.subject
    rows = _ordered(results, other)
    ways = Counter(better(effect, IN_TIME) for _, effect in rows)
    title = (
        f"In {ways[1]} of {counted(len(rows), 'workload')} on real servers {subject} serves more "
        f"users in time than {other}, in {ways[-1]} fewer"
    )
    if all(effect.low is None for _, effect in rows):
        above = sum(effect.mean > 0 for _, effect in rows)
        title = f"In {above} of {counted(len(rows), 'workload')} {subject} serves more users in "
        title += f"time than {other}, by the means alone: the runs are too few for intervals"
    about = (
        "A dot is the mean of the runs' differences, the line its 95 % interval; blue: clearly "
        "better, red: clearly worse, grey: a tie. Hollow: users served at all."
    )
    drawing = partial(_draw_effects, results, other, rows)
    return draw(f"against-{_plain(other)}", title, about, drawing)


def _plain(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def _ordered(results: Results, other: str) -> list[tuple[str, Effect]]:
    """Workloads with the effect on users served in time, the best for the subject first."""
    found = [(name, results.effect(name, IN_TIME, other)) for name in results.workloads]
    kept = [(name, effect) for name, effect in found if effect is not None]
    return sorted(kept, key=lambda item: -item[1].mean)


def _draw_effects(results: Results, other: str, rows: list[tuple[str, Effect]]) -> Figure:
    figure, (axes,) = canvas(0.65 + ROW_IN * len(rows))
    axes.axvline(0, color=INK, linewidth=0.8)
    for place, (workload, effect) in enumerate(rows):
        shade = WAYS[better(effect, IN_TIME)]
        if effect.low is not None and effect.high is not None:
            spans(axes, [(effect.low, effect.high, place)], color=shade, linewidth=2)
        axes.plot([effect.mean], [place], "o", color=shade, markersize=5)
        if served := results.effect(workload, "served", other):
            axes.plot([served.mean], [place], "o", mec=INK, mfc="none", markersize=5, mew=0.8)
    row_names(axes, [name for name, _ in rows])
    _signed_axis(axes)
    figure.supxlabel(whose(results.subject, other), fontsize=8)
    return figure


def _signed_axis(axes: Axes) -> None:
    axes.grid(visible=False, axis="y")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.05), max(high, 0.05))
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.2g}" if value else "0")


def _beside(results: Results) -> Drawn | None:
    off = deviation(results)
    if off is None:
        return None
    size, mean, workload, strategy = off
    title = (
        f"Real runs are within {show(size)} of the simulation, and within {show(mean)} in the "
        f"mean; furthest off is {strategy} under {workload}"
    )
    about = "Users served in time. Filled: measured over sockets; hollow: simulated, same seeds."
    return draw("beside-simulation", title, about, partial(_draw_beside, results))


def _draw_beside(results: Results) -> Figure:
    strategies = [results.subject, *results.others]
    distances = {name: _furthest(results, name, strategies) for name in results.workloads}
    names = sorted(distances, key=lambda name: -distances[name])
    step = 0.8 / len(strategies)
    figure, (axes,) = canvas(0.7 + (0.08 + 0.075 * len(strategies)) * len(names))
    for index, strategy in enumerate(strategies):
        shade = colour(strategy, results.strategies)
        pairs = [(results.both(strategy, name, IN_TIME), at) for at, name in enumerate(names)]
        kept = [(*both, at + (index + 0.5) * step - 0.4) for both, at in pairs if both]
        spans(axes, [(real, virtual, at) for real, virtual, at in kept], color=shade, linewidth=1)
        heights = [at for _, _, at in kept]
        virtuals = [virtual for _, virtual, _ in kept]
        axes.plot(virtuals, heights, "o", mec=shade, mfc="none", markersize=3.5, mew=0.8)
        reals = [real for real, _, _ in kept]
        axes.plot(reals, heights, "o", color=shade, markersize=3.5, label=strategy)
    row_names(axes, names)
    axes.grid(visible=False, axis="y")
    axes.hlines([at + 0.5 for at in range(len(names) - 1)], *axes.get_xlim(), GRID, linewidth=0.5)
    axes.set_xlabel("share of users served in time")
    legend_above(figure, axes)
    return figure


def _furthest(results: Results, workload: str, strategies: list[str]) -> float:
    both = [results.both(strategy, workload, IN_TIME) for strategy in strategies]
    return max((abs(pair[0] - pair[1]) for pair in both if pair), default=0.0)


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
        for strategy in reversed(strategies):
            figures = [results.middle(strategy, name, measure) for name in names]
            axes.plot(
                [figure if isfinite(figure) else nan for figure in figures],
                range(len(names)),
                MARKS.get(strategy, "d"),
                color=colour(strategy, results.strategies),
                label=strategy,
                markersize=4.5,
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
