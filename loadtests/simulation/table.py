"""The matrix as a text, as CSV and as JSON."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from loadtests.simulation.cells import Cell
from loadtests.simulation.matrix import JUDGE_SEEDS, MARGIN, MEASURED, QUEUE, Row

COLUMNS = (
    *("told", "retry", "load", "shape", "service", "timeout", "strategy", "seeds"),
    *("served", "in_time", "goodput", "attempts"),
    *("d_served", "d_served_low", "d_served_high"),
    *("d_in_time", "d_in_time_low", "d_in_time_high"),
)
SHOWN = {"served": "served", "in_time": "in time"}


@dataclass(frozen=True, slots=True)
class Regret:
    """Users whom the best of all serves in time, and queue does not: the share of all users."""

    share: float
    cell: Cell
    best: str


def worst_regret(rows: Sequence[Row]) -> Regret | None:
    """Of the cells of these rows, the one with the most; judged where it was judged."""
    others = (row for row in rows if row.strategy != QUEUE)
    found = (Regret(-row.effects["in_time"].mean, row.cell, row.strategy) for row in others)
    return max(found, key=lambda regret: regret.share, default=None)


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One line for each strategy in each cell; d is queue less that strategy."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_fields(row) for row in rows)


def _fields(row: Row) -> list[object]:
    cell = row.cell
    fields: list[object] = [cell.told, cell.retry, cell.load, cell.shape, cell.service]
    fields += [cell.timeout, row.strategy, row.seeds, *(round(v, 4) for v in row.means.values())]
    for measure in MEASURED:
        effect = row.effects.get(measure)
        ends = (effect.mean, effect.low, effect.high) if effect else (None, None, None)
        fields += ["" if end is None else round(end, 4) for end in ends]
    return fields


def as_json_text(rows: Sequence[Row]) -> str:
    worst = worst_regret(rows)
    found = {
        "rows": [dict(zip(COLUMNS, _fields(row), strict=True)) for row in rows],
        "lost": [
            {"cell": str(row.cell), "strategy": row.strategy, "measure": measure}
            for row in rows
            for measure in row.losses
        ],
        "worst_regret": worst
        and {"in_time": round(worst.share, 4), "cell": str(worst.cell), "best": worst.best},
    }
    return json.dumps(found, indent=1)


def as_text(rows: Sequence[Row]) -> str:
    """The table, the clear losses, the worst regret and the means."""
    cells = len({row.cell for row in rows})
    numbers = sorted({row.seeds for row in rows if not row.judged})
    seeds = " or ".join(map(str, numbers))
    judged = sum(row.judged for row in rows)
    lines = [
        f"queue against each of the others in {cells} cells, screened on {seeds} seeds each. Where",
        f"queue looked worse ({judged} times), the two met again on {len(JUDGE_SEEDS)} fresh ones,",
        "and only that counts: lost is where the 95 % interval is wholly below 0 and the mean",
        f"below -{MARGIN:g}. A win is {MARGIN:g} above and two standard errors, screened.",
        "",
        f"{'':<16}{'against':<15}{'cells':>6}   {'served':<18}   {'in time':<18}",
        f"{'':<37}   {'win   tie  loss':<18}   {'win   tie  loss':<18}",
        *_counts(rows),
        "",
        *_lost(rows),
        "",
        "Worst regret in time against the best of all:",
        *_regrets(rows),
        "",
        "Means over the cells in which both ran:",
        *_means(rows),
    ]
    return "\n".join(lines)


def _counts(rows: Sequence[Row]) -> Iterator[str]:
    """Of queue, for each group and opponent."""
    kept: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.strategy != QUEUE:
            kept[row.cell.group, row.strategy].append(row)
            kept["all", row.strategy].append(row)
    order = list(dict.fromkeys([*(group for group, _ in kept if group != "all"), "all"]))
    for (group, other), those in sorted(kept.items(), key=lambda item: order.index(item[0][0])):
        counted = "   ".join(f"{_count(those, measure):<18}" for measure in MEASURED)
        yield f"{group:<16}{other:<15}{len(those):>6}   {counted}".rstrip()


def _count(rows: Sequence[Row], measure: str) -> str:
    verdicts = [row.verdict(measure) for row in rows]
    win, tie, loss = (verdicts.count(verdict) for verdict in ("win", "tie", "loss"))
    return f"{win:>3}{tie:>6}{loss:>6}"


def _lost(rows: Sequence[Row]) -> Iterator[str]:
    lost = [(row, measure) for row in rows for measure in row.losses]
    yield f"Clearly lost: {len(lost)}" + (", queue less the other" if lost else "")
    for row, measure in sorted(lost, key=lambda pair: pair[0].effects[pair[1]].mean):
        effect = row.effects[measure]
        yield (
            f"  {row.cell!s:<42} {SHOWN[measure]:<8} {row.strategy:<14}"
            f"{effect.mean:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}]"
        )


def _regrets(rows: Sequence[Row]) -> Iterator[str]:
    for group in dict.fromkeys(row.cell.group for row in rows):
        worst = worst_regret([row for row in rows if row.cell.group == group])
        if worst is not None:
            share = max(worst.share, 0.0)
            yield f"  {group:<15}{share:.3f}  {worst.cell}, against {worst.best}"


def _means(rows: Sequence[Row]) -> Iterator[str]:
    yield f"  {'':<15}{'cells':>6}" + "".join(f"{name:>10}{'queue':>8}" for name in rows[0].means)
    queue = {row.cell: row.means for row in rows if row.strategy == QUEUE}
    for other in dict.fromkeys(row.strategy for row in rows if row.strategy != QUEUE):
        its = [row for row in rows if row.strategy == other]
        pairs = (
            (fmean(r.means[name] for r in its), fmean(queue[r.cell][name] for r in its))
            for name in rows[0].means
        )
        shown = "".join(f"{one:>10.3f}{ours:>8.3f}" for one, ours in pairs)
        yield f"  {other:<15}{len(its):>6}{shown}"
