"""`runner simulate --matrix`: queue against each of the others in all cells."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from runner.cli.flags import say, usage_errors
from runner.cli.status import StatusLine


def show_matrix(
    strategies: Sequence[str],
    timeout: float,
    seeds: int | None,
    jobs: int,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print the table, or JSON, and write the CSV; by default against all that are known."""
    from loadtests.controls import check
    from loadtests.simulation import table
    from loadtests.simulation.cells import cells
    from loadtests.simulation.matrix import EVERYWHERE, OPPONENTS, SCREEN_SEEDS, matrix

    with usage_errors(ValueError):
        for name in strategies:
            check(name)
    tried = strategies or (*EVERYWHERE, *OPPONENTS)
    with StatusLine(sys.stderr) as status:

        def tell(words: str) -> None:
            status.show(lambda after_s: f"{words}, {after_s:.0f} s")

        rows = matrix(
            list(cells(timeout)), tried, seeds=seeds or SCREEN_SEEDS, jobs=jobs, tell=tell
        )
    if out is not None:
        table.write_csv(rows, out)
    say(table.as_json_text(rows) if as_json else table.as_text(rows))
