"""What each run came to, one row a run: `figures.csv`, from which the report is written.

The raw data are large and need not be kept for it. Rows are rounded where they are
made, so that a report from the raw data and one from the table are the same.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import nan
from pathlib import Path

from loadtests.measures.figures import MEASURES, Figures, figures, lag_s
from loadtests.measures.histories import Findings, check
from loadtests.measures.records import Run
from loadtests.runs.plan import MEMORY, Folder, Plan, key_of, make
from loadtests.simulation.simulate import simulate

MEASURED, SIMULATED = "measured", "simulated"
SIMULATED_SEEDS = 8
"""So many seeds of a comparison are run in virtual time too, to stand beside the real runs."""

FAULTS = tuple(field.name for field in fields(Findings))
HEAD = ("how", "strategy", "workload", "seed", "turns", "kept", "lag_p99_ms", "unsent", "repeats")
CROSSINGS = "crossings"


@dataclass(frozen=True, slots=True)
class Row:
    """One run.

    how       MEASURED over sockets, or SIMULATED: the same schedule in virtual time.
    turns     users' turns.
    kept      turns in the histories at the end.
    lag_ms    how late the generator was, 99th percentile.
    unsent    turns that it could not send, for it had too many open.
    repeats   earlier measurements of this run that it replaced.
    crossings turns that ran in another process than the one before them in their conversation.
    """

    how: str
    strategy: str
    workload: str
    seed: int
    turns: int
    kept: int
    lag_ms: float
    unsent: int
    repeats: int
    figures: Figures
    faults: Findings
    crossings: int = 0


def of_run(run: Run, plan: Plan, how: str = MEASURED, repeats: int = 0) -> Row:
    workload = make(plan, run.workload, run.seed)
    return Row(
        how,
        run.strategy,
        run.workload,
        run.seed,
        len(run.turns),
        sum(len(history.messages) for history in run.histories),
        _rounded(lag_s(run) * 1000),
        run.refused_by_pool,
        repeats,
        {name: _rounded(value) for name, value in figures(run, workload).items()},
        check(run, workload),
        run.crossings,
    )


def read(folder: Folder) -> list[Row]:
    """The folder's rows, from its raw data or else its table. Raises ValueError for a bad one."""
    if not folder.has_raw_data:
        return read_table(folder)
    plan, repeats = folder.plan(), folder.repeats()
    return [of_run(run, plan, repeats=repeats[key_of(run)]) for run in folder.runs()]


def read_table(folder: Folder) -> list[Row]:
    """The rows of figures.csv, real and simulated; none where there is no such file."""
    return from_csv(folder.figures) if folder.figures.exists() else []


def simulated(rows: Iterable[Row], plan: Plan) -> Iterator[Row]:
    """The first seeds of what was measured, in virtual time."""
    for row in rows:
        if row.how == MEASURED and row.seed <= SIMULATED_SEEDS:
            workload = make(plan, row.workload, row.seed)
            run = simulate(row.strategy, workload, services=plan.services)
            yield of_run(run, plan, SIMULATED)


def write(folder: Folder) -> None:
    """figures.csv and digest.txt, where there are raw data to make them from."""
    if folder.has_raw_data:
        rows, plan = read(folder), folder.plan()
        # Nothing is known of the times of somebody's own agent, and a line in a database sheds
        # nothing, as the one that is simulated does.
        if not plan.agent and plan.store == MEMORY:
            rows += simulated(rows, plan)
        folder.figures.write_text(to_csv(rows))
        folder.digest.write_text(folder.describe_raw_data())


def to_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*HEAD, *MEASURES, *FAULTS, CROSSINGS))
    for row in sorted(rows, key=lambda row: (row.how, row.workload, row.strategy, row.seed)):
        head = (row.how, row.strategy, row.workload, row.seed, row.turns, row.kept)
        tail = (f"{row.lag_ms:g}", row.unsent, row.repeats)
        figures = (f"{row.figures.get(name, nan):g}" for name in MEASURES)
        faults = (getattr(row.faults, name) for name in FAULTS)
        table.writerow((*head, *tail, *figures, *faults, row.crossings))
    return text.getvalue()


def from_csv(path: Path) -> list[Row]:
    """The rows of the table. Raises ValueError where it is something else."""
    try:
        with path.open(newline="") as file:
            return [_from_cells(cells) for cells in csv.DictReader(file)]
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{path} is not the table of a comparison's figures") from error


def _from_cells(cells: Mapping[str, str]) -> Row:
    """A measure that the table does not have is not known: nan; an older one has no crossings."""
    turns, kept, unsent, repeats = (int(cells[n]) for n in ("turns", "kept", "unsent", "repeats"))
    return Row(
        cells["how"],
        cells["strategy"],
        cells["workload"],
        int(cells["seed"]),
        turns,
        kept,
        float(cells["lag_p99_ms"]),
        unsent,
        repeats,
        {name: float(cells.get(name, "nan")) for name in MEASURES},
        Findings(**{name: int(cells[name]) for name in FAULTS}),
        int(cells.get(CROSSINGS, 0)),
    )


def _rounded(value: float) -> float:
    """As `figures.csv` has it: six digits."""
    return float(f"{value:g}")
