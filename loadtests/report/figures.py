"""The figures, as SVG: each fits a telephone's width and keeps its text as text."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from math import inf, isfinite, log10, nan
from statistics import fmean
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt  # The backend is chosen first.
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.measures.figures import MEASURES, answered_after, depth
from loadtests.measures.intervals import interval
from loadtests.measures.records import Run
from loadtests.report.long_runs import LOADS, LongRuns
from loadtests.report.results import Results
from loadtests.simulation import theory
from loadtests.workloads.clients import POLICIES

COLOURS = {"queue": "#0072b2", "lock": "#d55e00", "reject": "#009e73", "unprotected": "#7f7f7f"}
MORE = ("#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKS = {"queue": "o", "lock": "s", "reject": "^", "unprotected": "x"}
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "turnline",  # Without it the same figure has other ids each time.
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
BY_LOAD = {
    "steady-0.5": 0.5,
    "steady-0.8": 0.8,
    "overload-1.2": 1.2,
    "overload-2": 2.0,
    "overload-4": 4.0,
}
BY_LOAD_NOTES = {
    "goodput": "Dashed: all that could be done.",
    "in_time": "Unprotected answers many at once, from stale histories.",
    "p50": "No mark: most users never had an answer. Unprotected: from stale histories.",
}
WINDOW = 20.0
"""The timeline shows so many service times, or 20 seconds of an agent of one second."""


def all_figures(results: Results, long_runs: LongRuns | None) -> dict[str, tuple[str, str]]:
    """Name -> (SVG, what it shows), for those that the runs have data for."""
    there = set(results.workloads)
    drawn: dict[str, tuple[Callable[[], Figure], str]] = {}
    if len(there & BY_LOAD.keys()) > 1:
        for measure in ("goodput", "in_time", "p50"):
            drawn[f"{measure}-by-load"] = (
                partial(_by_load, results, measure),
                f"{_capital(MEASURES[measure].title)} against offered load; means of the runs with "
                f"95 % intervals. {BY_LOAD_NOTES.get(measure, '')}".strip(),
            )
    for workload in ("overload-1.2", "patient", results.workloads[0]):
        if workload in there and "spectrum" not in drawn:
            drawn["spectrum"] = (
                partial(_spectrum, results, workload),
                f"Time to answer by share of users under {workload}, all runs together. A line "
                "ends where the rest of the users never had an answer.",
            )
    for workload in ("hot", "spike", results.workloads[0]):
        if workload in there and "timeline" not in drawn:
            drawn["timeline"] = (
                partial(_timeline, results, workload),
                f"The same {WINDOW:.0f} service times of {workload} under each strategy, a lane "
                "for each conversation. Line: sent and waiting; bar: the agent works; cross: "
                "refused or given up.",
            )
    for workload in ("spike", results.workloads[-1]):
        if workload in there and "depth" not in drawn:
            drawn["depth"] = (
                partial(_depth, results, workload),
                f"Turns that wait in the server over time under {workload}, first seed.",
            )
    if results.others:
        drawn["differences"] = (
            partial(_differences, results, "in_time"),
            f"{results.subject} less each other strategy, users served in time: a dot for each "
            "pair of runs, the mean and its 95 % interval.",
        )
    if sum(name.startswith("retrying-") for name in there) > 1:
        drawn["retries"] = (
            partial(_retries, results),
            "What the clients' retry policy changes, at load 1.5.",
        )
    if long_runs is not None:
        drawn["theory"] = (
            partial(_theory, results, long_runs),
            "Theory (lines), the same strategy classes in long virtual time (hollow), and the "
            "real runs, which are short and start empty (filled, 95 % interval).",
        )
    with mpl.rc_context(STYLE):
        return {name: (_to_svg(draw()), about) for name, (draw, about) in drawn.items()}


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _to_svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _colour(results: Results, strategy: str) -> str:
    own = [name for name in results.strategies if name not in COLOURS]
    return COLOURS.get(strategy) or MORE[own.index(strategy) % len(MORE)]


def _canvas(height: float = 3.2, rows: int = 1) -> tuple[Figure, list[Axes]]:
    figure, axes = plt.subplots(rows, 1, figsize=(4.8, height), squeeze=False, sharex=rows > 1)
    return figure, [row[0] for row in axes]


def _by_load(results: Results, measure: str) -> Figure:
    figure, (axes,) = _canvas()
    names = [name for name in BY_LOAD if name in results.workloads]
    loads = [BY_LOAD[name] for name in names]
    if measure == "goodput":
        axes.plot([0.4, 1, 4], [0.4, 1, 1], "--", color="#999999", linewidth=1)
    for strategy in results.strategies:
        if strategy == "unprotected" and measure == "goodput":
            continue  # It answers many at once, from stale histories: that is no goodput.
        samples = [
            [v for v in results.values(strategy, name, measure) if isfinite(v)] for name in names
        ]
        _line_with_intervals(axes, results, strategy, loads, samples)
    axes.set_xscale("log", base=2)
    axes.set_xticks(loads, [f"{load:g}" for load in loads])
    axes.set_xlabel("offered load")
    if measure == "p50":
        _log_scale(axes)
    axes.set_ylabel(f"{MEASURES[measure].title}, {MEASURES[measure].unit}")
    axes.legend(fontsize=8)
    return figure


def _log_scale(axes: Axes) -> None:
    """Where nobody was answered there is nothing to scale, and matplotlib refuses to."""
    if isfinite(axes.dataLim.minposy):
        axes.set_yscale("log")


def _line_with_intervals(
    axes: Axes,
    results: Results,
    strategy: str,
    loads: Sequence[float],
    samples: Sequence[Sequence[float]],
) -> None:
    colour = _colour(results, strategy)
    means = [fmean(values) if values else nan for values in samples]
    mark = MARKS.get(strategy, "d")
    axes.plot(loads, means, mark + "-", color=colour, label=strategy, markersize=4, linewidth=1.3)
    for load, values in zip(loads, samples, strict=True):
        low, high = interval(values)
        if low is not None and high is not None:
            axes.plot([load, load], [low, high], color=colour, linewidth=2.5, alpha=0.4)


def _spectrum(results: Results, workload: str) -> Figure:
    figure, (axes,) = _canvas()
    for strategy in results.strategies:
        late = sorted(
            answered_after(turn) / run.service_s
            for run in results.runs
            if (run.strategy, run.workload) == (strategy, workload)
            for turn in run.turns
        )
        points = [
            (-log10(1 - rank / len(late)), seconds)
            for rank, seconds in enumerate(late)
            if seconds < inf
        ]
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            color=_colour(results, strategy),
            label=strategy,
            linewidth=1.3,
        )
    percents = (50, 90, 99, 99.9)
    axes.set_xticks([-log10(1 - p / 100) for p in percents], [f"{p:g} %" for p in percents])
    _log_scale(axes)
    axes.set_xlabel("share of users answered by then")
    axes.set_ylabel("time to answer, service times")
    axes.legend(fontsize=8)
    return figure


def _timeline(results: Results, workload: str) -> Figure:
    strategies = results.strategies
    figure, panels = _canvas(1.6 * len(strategies) + 0.4, rows=len(strategies))
    for axes, strategy in zip(panels, strategies, strict=True):
        run = results.run(strategy, workload)
        axes.set_title(strategy, fontsize=9, loc="left")
        axes.grid(visible=False)
        if run is not None:
            _lanes(axes, run, _colour(results, strategy))
    panels[-1].set_xlabel("service times since the start")
    return figure


def _lanes(axes: Axes, run: Run, colour: str) -> None:
    """One conversation, one lane."""
    unit_s = run.service_s
    low = min(20.0, run.services / 5)
    lanes = {c: lane for lane, c in enumerate(sorted({t.conversation for t in run.turns}))}
    for turn in run.turns:
        lane = lanes[turn.conversation]
        for tried in turn.attempts:
            sent, ended = tried.sent_s / unit_s, tried.ended_s / unit_s
            if ended >= low and sent <= low + WINDOW:
                axes.plot([sent, ended], [lane, lane], color=colour, linewidth=0.5, alpha=0.5)
                if tried.status != 200:
                    axes.plot([ended], [lane], "x", color="#b00020", markersize=2.5, mew=0.6)
    for call in run.calls:
        began, ended = call.began_s / unit_s, call.ended_s / unit_s
        if ended >= low and began <= low + WINDOW:
            lane = lanes[call.conversation]
            axes.barh(lane, ended - began, left=began, height=0.7, color=colour, alpha=0.75)
    axes.set_xlim(low, low + WINDOW)
    axes.set_ylim(-0.8, len(lanes) - 0.2)
    few = len(lanes) <= 3
    axes.set_yticks(
        list(lanes.values()) if few else [0, len(lanes) - 1],
        list(lanes) if few else [min(lanes), max(lanes)],
        fontsize=7,
    )


def _depth(results: Results, workload: str) -> Figure:
    figure, (axes,) = _canvas()
    for strategy in results.strategies:
        run = results.run(strategy, workload)
        if run is not None:
            levels = depth(run)
            axes.step(
                [at / run.service_s for at, _ in levels],
                [level for _, level in levels],
                where="post",
                color=_colour(results, strategy),
                label=strategy,
                linewidth=1,
            )
    axes.set_xlabel("service times since the start")
    axes.set_ylabel("turns waiting")
    axes.legend(fontsize=8)
    return figure


def _differences(results: Results, measure: str) -> Figure:
    rows = [(workload, other) for workload in results.workloads for other in results.others]
    figure, (axes,) = _canvas(0.9 + 0.21 * len(rows))
    for place, (workload, other) in enumerate(reversed(rows)):
        effect = results.effect(workload, measure, other)
        colour = _colour(results, other)
        if effect is None:
            continue
        axes.plot(effect.differences, [place] * effect.runs, ".", color=colour, alpha=0.35, ms=4)
        axes.plot([effect.mean], [place], "D", color=colour, markersize=3.5)
        if effect.low is not None and effect.high is not None:
            axes.plot([effect.low, effect.high], [place, place], color=colour, linewidth=1.6)
    axes.axvline(0, color="#333333", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{w} / {o}" for w, o in reversed(rows)], fontsize=7)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel(f"{MEASURES[measure].title}: {results.subject} less the other")
    return figure


def _retries(results: Results) -> Figure:
    policies = [name for name in POLICIES if f"retrying-{name}" in results.workloads]
    figure, panels = _canvas(5.0, rows=3)
    width = 0.8 / len(results.strategies)
    for axes, measure in zip(panels, ("served", "attempts", "wasted"), strict=True):
        for index, strategy in enumerate(results.strategies):
            heights = [results.middle(strategy, f"retrying-{name}", measure) for name in policies]
            places = [place + (index + 0.5) * width - 0.4 for place in range(len(policies))]
            colour = _colour(results, strategy)
            axes.bar(places, heights, width * 0.9, color=colour, label=strategy)
        axes.set_ylabel(MEASURES[measure].title, fontsize=8)
        axes.grid(visible=False, axis="x")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8)
    panels[-1].set_xticks(range(len(policies)), policies)
    return figure


def _theory(results: Results, long_runs: LongRuns) -> Figure:
    figure, panels = _canvas(5.4, rows=2)
    grid = [step / 100 for step in range(5, 91)]
    waits, losses = panels
    for name, formula, style in (
        ("M/M/1", theory.mm1_wait, "-"),
        ("M/D/1", theory.md1_wait, "--"),
    ):
        waits.plot(grid, [formula(load) for load in grid], style, color="#555555", label=name)
        found = [long_runs.waits[name, load] for load in LOADS]
        waits.plot(LOADS, found, "o", mfc="none", color="#0072b2", markersize=5)
    losses.plot(grid, [theory.loss(load) for load in grid], color="#555555", label="M/G/1/1 loss")
    found = [long_runs.losses[load] for load in LOADS]
    losses.plot(LOADS, found, "^", mfc="none", color="#009e73", markersize=5)
    for strategy in ("queue", "lock"):
        measured = results.values(strategy, "patient", "waited")
        if measured:
            low, high = interval(measured)
            colour = COLOURS[strategy]
            waits.plot([0.8], [fmean(measured)], MARKS[strategy], color=colour, label=strategy)
            if low is not None and high is not None:
                waits.plot([0.8, 0.8], [low, high], color=colour, alpha=0.5)
    waits.set_ylabel("mean wait, service times")
    losses.set_ylabel("share refused, nobody retries")
    losses.set_xlabel("offered load")
    for axes in panels:
        axes.legend(fontsize=8)
    return figure
