"""Two ways of seeing the real runs: against each opponent, and beside the simulation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.measures.intervals import Effect
from loadtests.report.drawing import (
    MARKS,
    ROW_IN,
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
from loadtests.report.svg import GRID, INK, WAYS
from loadtests.report.verdict import IN_TIME, deviation
from loadtests.report.words import better, counted, show


def measured(results: Results) -> Iterator[Drawn]:
    """One figure for each opponent, and one beside the simulation if there is one."""
    for other in results.others:
        yield _effects(results, other)
    if drawn := _beside(results):
        yield drawn


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
        shade, mark = colour(strategy, results.strategies), MARKS.get(strategy, "d")
        pairs = [(results.both(strategy, name, IN_TIME), at) for at, name in enumerate(names)]
        kept = [(*both, at + (index + 0.5) * step - 0.4) for both, at in pairs if both]
        spans(axes, [(real, virtual, at) for real, virtual, at in kept], color=shade, linewidth=1)
        heights = [at for _, _, at in kept]
        virtuals = [virtual for _, virtual, _ in kept]
        axes.plot(virtuals, heights, mark, mec=shade, mfc="none", markersize=3.5, mew=0.8)
        reals = [real for real, _, _ in kept]
        axes.plot(reals, heights, mark, color=shade, markersize=3.5, label=strategy)
    row_names(axes, names)
    axes.grid(visible=False, axis="y")
    axes.hlines([at + 0.5 for at in range(len(names) - 1)], *axes.get_xlim(), GRID, linewidth=0.5)
    axes.set_xlabel("share of users served in time")
    legend_above(figure, axes)
    return figure


def _furthest(results: Results, workload: str, strategies: list[str]) -> float:
    both = [results.both(strategy, workload, IN_TIME) for strategy in strategies]
    return max((abs(pair[0] - pair[1]) for pair in both if pair), default=0.0)
