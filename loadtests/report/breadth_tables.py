"""What the simulated matrix came to, as tables."""

from __future__ import annotations

from statistics import fmean

from loadtests.report.breadth import JUDGED, Breadth
from loadtests.report.tables import Table
from loadtests.report.words import listed, show

LISTED = 60
"""So many of the cells that are lost are listed."""

_WHAT = ("won", "tied", "lost")


def won(breadth: Breadth) -> Table:
    """Wins, ties and losses against each opponent, in cells."""
    rows = []
    for other in breadth.others:
        tallies = [breadth.tally(other, measure) for measure in JUDGED]
        cells = [str(n) for tally in tallies for n in (tally.wins, tally.ties, tally.losses)]
        rows.append((other, *cells, str(breadth.dominated(other))))
    heads = [f"{title}: {what}" for title in ("in time", "served") for what in _WHAT]
    return Table(
        "Cells won, tied and lost",
        f"{breadth.subject} against each, in {len(breadth.cells)} cells. Dominated: clearly worse "
        "in both measures.",
        ("against", *heads, "dominated"),
        tuple(rows),
    )


def lost(breadth: Breadth) -> Table:
    """Every cell in which one of the foremost is clearly better, the worst first."""
    found = [(each, title) for measure, title in JUDGED.items() for each in breadth.losses(measure)]
    found.sort(key=lambda item: item[0].mean)
    rows = [
        (str(each.cell), title, each.other, f"{-each.mean:.2f} {each.interval}")
        for each, title in found
    ]
    about = f"Where {listed(breadth.foremost)} clearly serve more; the worst first"
    more = f", {LISTED} of {len(rows)}" if len(rows) > LISTED else ""
    return Table(
        "Cells lost",
        f"{about}{more}." if rows else "None.",
        ("cell", "measure", "against", "worse by"),
        tuple(rows[:LISTED]),
    )


def regret(breadth: Breadth) -> Table:
    """How each strategy fares where it fares worst, the least regret first."""
    rows = []
    for strategy in breadth.strategies:
        found = list(breadth.regrets(strategy, "in_time"))
        worst = max(found, key=lambda each: each.size)
        mean = fmean(each.size for each in found)
        served = breadth.worst_regret(strategy, "served").size
        rows.append((worst.size, strategy, mean, served, f"{worst.cell} ({worst.best})"))
    return Table(
        "Regret",
        "How far each strategy is behind the best of all in a cell: in its worst cell, and in "
        "the mean over its cells. The cell is that of the worst regret in time, with its best.",
        ("strategy", "worst, in time", "mean, in time", "worst, served", "where"),
        tuple(
            (strategy, show(size), show(mean), show(served), where)
            for size, strategy, mean, served, where in sorted(rows)
        ),
    )
