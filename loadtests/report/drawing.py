"""How figures are drawn: small SVG whose text stays text and whose colours follow the page.

A figure is as wide as a telephone's column, so that its text keeps its size there, and
wider pages show several side by side. Its title is not in it: it is a sentence, and the
page wraps it. Colours are CSS variables, defined for light and dark in `PALETTE`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt  # The backend is chosen first.
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH_IN = 3.75
"""360 pixels: a telephone of 390, less the page's margins."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
INK, GRID, CLEAR_WIN, CLEAR_LOSS, TIE = "#111111", "#dddddd", "#0072b2", "#b00020", "#8a8a8a"
COLOURS = {
    "queue": "#0072b3",
    "lock": "#d55e00",
    "reject": "#009e73",
    "unprotected": "#7f7f7f",
}
MORE = ("#b1589a", "#a67c00", "#4b4bbb", "#7a5230")
MARKS = {"queue": "o", "lock": "s", "reject": "^", "unprotected": "x"}
PALETTE: dict[str, tuple[str, str, str]] = {
    INK: ("ink", "#1c1c1c", "#e8e8e8"),
    GRID: ("grid", "#dddddd", "#3a3d42"),
    CLEAR_WIN: ("win", "#0072b2", "#62b5ee"),
    CLEAR_LOSS: ("loss", "#b00020", "#ff7a85"),
    TIE: ("tie", "#8a8a8a", "#8f949b"),
    "#0072b3": ("queue", "#0072b2", "#62b5ee"),
    "#d55e00": ("lock", "#d55e00", "#ff9b54"),
    "#009e73": ("reject", "#008a64", "#3fd0a4"),
    "#7f7f7f": ("control", "#7f7f7f", "#a0a0a0"),
    "#b1589a": ("more-1", "#b1589a", "#e29ad0"),
    "#a67c00": ("more-2", "#a67c00", "#e6bd4a"),
    "#4b4bbb": ("more-3", "#4b4bbb", "#a3a3ff"),
    "#7a5230": ("more-4", "#7a5230", "#d0a27c"),
}
"""The colour that is drawn -> its variable, its value in light and in dark."""

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


def variables(dark: bool) -> str:
    """The palette as CSS declarations."""
    return " ".join(f"--{name}: {(light, night)[dark]};" for name, light, night in PALETTE.values())


def as_file(drawn: Drawn) -> str:
    """The figure as a file of its own, which must bring its colours."""
    style = (
        f"<style>svg{{{variables(dark=False)} font-family: {FONT}}}"
        f"@media (prefers-color-scheme: dark){{svg{{{variables(dark=True)}}}}}</style>"
    )
    head, _, rest = drawn.svg.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg">{style}{rest}\n'


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
    return _smaller(text[text.index("<svg") :], name)


def _smaller(text: str, name: str) -> str:
    """Without what a page does not need; coordinates to a tenth of a point (0.13 pixels)."""
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None
    body = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", text, flags=re.S)
    body = _without_plain_groups(body[body.index(">") + 1 : body.rindex("</svg>")])
    body = re.sub(r"<[^>]*>", lambda tag: _smaller_tag(tag[0], name), body)
    body = _with_styles_said_once(re.sub(r"\s*\n\s*", "\n", body).strip())
    return f'<svg viewBox="{box[1]}">\n{body}\n</svg>'


def _smaller_tag(tag: str, name: str) -> str:
    tag = re.sub(r"-?\d+\.\d+", lambda number: f"{round(float(number[0]), 1) + 0.0:g}", tag)
    tag = re.sub(r" font-family: [^;\"]*;?| transform=\"rotate\(-?0 [^)]*\)\"", "", tag)
    tag = re.sub(r"([ML]) (\S+) (\S+)\s*", r"\1\2 \3", tag)
    tag = re.sub(r"M(\S+ [^ML\s\"]+)L\1(?=[M\"])", r"M\1h0", tag)  # A dot.
    tag = re.sub(r"M(\S+) ([^ML\s\"]+)L(\S+) \2(?=[M\"])", r"M\1 \2H\3", tag)
    tag = re.sub(r"(#|id=\")([mp][0-9a-f]{5})[0-9a-f]{5}", rf"\1{name}-\2", tag)
    tag = tag.replace("xlink:", "").replace("; ", ";").replace(": ", ":")
    for drawn, (variable, _, _) in PALETTE.items():
        tag = tag.replace(drawn, f"var(--{variable})")
    return tag


def _without_plain_groups(body: str) -> str:
    """Groups that only have a name go; those that clip stay."""
    stays: list[bool] = []

    def kept(tag: re.Match[str]) -> str:
        if tag[0] != "</g>":
            stays.append("clip-path" in tag[0])
            return tag[0] if stays[-1] else ""
        return tag[0] if stays.pop() else ""

    return re.sub(r"<g\b[^>]*>|</g>", kept, body)


def _with_styles_said_once(body: str) -> str:
    """A mark that has one style wherever it is used has it where it is defined instead."""
    used: dict[str, set[str]] = {}
    for mark, style in re.findall(r'<use href="#([^"]+)"[^>]* style="([^"]*)"', body):
        used.setdefault(mark, set()).add(style)
    for mark, styles in used.items():
        if len(styles) == 1:
            (style,) = styles
            body = re.sub(rf'(<use href="#{mark}"[^>]*) style="[^"]*"', r"\1", body)
            body = re.sub(rf'(id="{mark}"[^>]*) style="[^"]*"', rf'\1 style="{style}"', body)
    return body
