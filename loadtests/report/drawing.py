"""How figures are drawn.

A figure is as wide as a telephone's column, so that its text keeps its size there, and
wider pages show several side by side. Its title is not in it: it is a sentence, and the
page wraps it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt  # The backend is chosen first.
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.report.svg import COLOURS, GRID, INK, MORE, smaller

WIDTH_IN = 3.75
"""360 pixels: a telephone of 390, less the page's margins."""

ROW_IN = 0.2
"""Of a figure that has a row for each workload."""

MARKS = {"queue": "o", "lock": "s", "reject": "^", "unprotected": "x"}
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "path.simplify": False,  # It would drop the dots.
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure: `title` is its conclusion, `about` says how to read it."""

    name: str
    title: str
    about: str
    svg: str


def draw(name: str, title: str, about: str, figure: Callable[[], Figure]) -> Drawn:
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):  # The same ids each time.
        return Drawn(name, title, about, _to_svg(figure(), name))


def canvas(
    height: float, rows: int = 1, columns: int = 1, *, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of this height in inches, and its panels in order of reading."""
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH_IN, height), squeeze=False, sharex=rows > 1, sharey=sharey
    )
    return figure, [each for row in axes for each in row]


def colour(strategy: str, all_strategies: Sequence[str]) -> str:
    """One for each strategy, the same in every figure of a report."""
    own = [name for name in all_strategies if name not in COLOURS]
    return COLOURS.get(strategy) or MORE[own.index(strategy) % len(MORE)]


def spans(axes: Axes, rows: Iterable[tuple[float, float, float]], **style: Any) -> None:
    """Horizontal lines (from, to, at), as one path: a hundred of them take no more than a line."""
    xs: list[float] = []
    ys: list[float] = []
    for low, high, at in rows:
        if isfinite(low) and isfinite(high):
            xs += [low, high, nan]
            ys += [at, at, nan]
    axes.plot(xs, ys, solid_capstyle="butt", **style)


def dots(axes: Axes, points: Iterable[tuple[float, float]], size: float, **style: Any) -> None:
    """Round dots as one path of lines without length, for where there are hundreds."""
    spans(axes, [(x, x, y) for x, y in points], linewidth=size)
    line = axes.lines[-1]
    line.set(**style)
    line.set_solid_capstyle("round")


def row_names(axes: Axes, names: Sequence[str]) -> None:
    """One row for each name, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def whose(subject: str, other: str) -> str:
    """The label of an axis of differences: which way is whose, instead of a sign."""
    return f"\N{LEFTWARDS ARROW} {other} better · share of users · {subject} better →"


def legend_above(figure: Figure, axes: Axes, columns: int = 4) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=columns,
        handletextpad=0.3,
        columnspacing=1.0,
        borderaxespad=0.0,
    )


def _to_svg(figure: Figure, name: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = buffer.getvalue()
    return smaller(text[text.index("<svg") :], name)
