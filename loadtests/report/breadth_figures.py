"""What the simulated matrix came to, as figures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import nan
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from loadtests.report.breadth import JUDGED, SHAPES, Breadth, Difference
from loadtests.report.drawing import (
    MARKS,
    Drawn,
    canvas,
    colour,
    dots,
    draw,
    legend_above,
    spans,
    whose,
)
from loadtests.report.svg import GRID, INK, WAYS
from loadtests.report.words import listed

NAMED = 4
"""So many of the clear losses are named below a figure; the table has more of them."""

NEAR = 0.02


def simulated(breadth: Breadth) -> Iterator[Drawn]:
    """One figure for each of the foremost opponents, and one of the means by group."""
    for other in breadth.foremost:
        yield _ranked(breadth, other)
    if any(cell.load is not None and cell.shape in SHAPES for cell in breadth.cells):
        yield _groups(breadth)


def _ranked(breadth: Breadth, other: str) -> Drawn:
    tally = breadth.tally(other, "in_time")
    count = tally.wins + tally.ties + tally.losses
    title = (
        f"In {tally.wins} of {count} simulated cells {breadth.subject} serves more users in time "
        f"than {other}, in {tally.losses} fewer"
    )
    about = (
        "Each cell a dot with its 95 % interval, ordered by effect; blue: clearly better, red: "
        f"clearly worse, grey: a tie. {_named(breadth, other)}"
    )
    return draw(f"cells-{other}", title, about, partial(_draw_ranked, breadth, other))


def _named(breadth: Breadth, other: str) -> str:
    lost = [each for each in breadth.ordered(other, "in_time") if each.way < 0]
    if not lost:
        return f"In no cell does {other} clearly serve more in time."
    more = f"; and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    named = "; ".join(each.words for each in lost[:NAMED])
    return f"More in time are served by {other} in: {named}{more}."


def _draw_ranked(breadth: Breadth, other: str) -> Figure:
    figure, panels = canvas(2.9, columns=2)
    for axes, (measure, title) in zip(panels, JUDGED.items(), strict=True):
        _draw_rank(axes, breadth.ordered(other, measure))
        axes.set_title(title.removeprefix("users "), fontsize=9)
    panels[0].set_ylabel("cells, by effect")
    figure.supxlabel(whose(breadth.subject, other), fontsize=8)
    return figure


def _draw_rank(axes: Axes, differences: list[Difference]) -> None:
    axes.axvline(0, color=INK, linewidth=0.8)
    size = min(5.0, max(1.5, 150 / max(1, len(differences))))
    for way, shade in WAYS.items():
        kept = [(at, each) for at, each in enumerate(differences) if each.way == way]
        rows = [(each.low, each.high, at) for at, each in kept]
        spans(axes, rows, color=shade, linewidth=min(1.0, size / 3), alpha=0.5)
        dots(axes, [(each.mean, at) for at, each in kept], size, color=shade)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-1, len(differences))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.2g}" if value else "0")


Groups = dict[tuple[str, str], dict[float, dict[str, float]]]
"""(told, shape) -> load -> strategy -> mean over the cells."""


def _means(breadth: Breadth, measure: str) -> Groups:
    """Means over clients' retries, service times and timeouts, of cells that have a load."""
    found: dict[tuple[str, str, float, str], list[float]] = {}
    for (cell, strategy), means in breadth.means.items():
        if cell.load is not None and cell.shape in SHAPES:
            key = cell.told, cell.shape, cell.load, strategy
            found.setdefault(key, []).append(means[measure])
    groups: Groups = {}
    for (told, shape, load, strategy), values in found.items():
        groups.setdefault((told, shape), {}).setdefault(load, {})[strategy] = fmean(values)
    return {key: dict(sorted(by_load.items())) for key, by_load in groups.items()}


def _groups(breadth: Breadth) -> Drawn:
    groups = _means(breadth, "in_time")
    points = [means for by_load in groups.values() for means in by_load.values()]
    near = sum(max(means.values()) - means[breadth.subject] <= NEAR for means in points)
    title = (
        f"In {near} of {len(points)} groups by clients, traffic and load {breadth.subject} is the "
        f"best or within {NEAR:g} of it"
    )
    about = (
        "Users served in time against load, means over retry policies, service times and timeouts. "
        f"The best is taken of all {len(breadth.strategies)} strategies; drawn are "
        f"{listed([breadth.subject, *breadth.foremost])}."
    )
    return draw("groups", title, about, partial(_draw_groups, breadth, groups))


def _draw_groups(breadth: Breadth, groups: Groups) -> Figure:
    tolds = list(dict.fromkeys(told for told, _ in groups))
    shapes = list(dict.fromkeys(shape for _, shape in groups))
    figure, panels = canvas(0.65 + 1.25 * len(tolds), len(tolds), len(shapes), sharey=True)
    for index, axes in enumerate(panels):
        told, shape = tolds[index // len(shapes)], shapes[index % len(shapes)]
        by_load = groups.get((told, shape), {})
        for order, strategy in enumerate([breadth.subject, *breadth.foremost]):
            axes.plot(
                list(by_load),
                [means.get(strategy, nan) for means in by_load.values()],
                f"{MARKS.get(strategy, 'd')}-",
                color=colour(strategy, breadth.strategies),
                label=strategy,
                markersize=3,
                linewidth=1.2,
                zorder=9 - order,  # The subject on top, and first in the legend.
            )
        axes.set_title(f"{told}, {SHAPES[shape]}", fontsize=8)
        axes.set_ylim(0, 1.03)
    _loads_below(panels, sorted({load for by_load in groups.values() for load in by_load}))
    figure.supxlabel("offered load", fontsize=8)
    figure.supylabel("users served in time", fontsize=8)
    legend_above(figure, panels[0])
    return figure


def _loads_below(panels: list[Axes], loads: list[float]) -> None:
    for axes in panels:
        axes.set_xscale("log", base=2)
        axes.set_xticks(loads, [f"{load:g}" for load in loads])
        axes.minorticks_off()
        axes.axvline(1, color=GRID, linewidth=1.2)
