"""Claim: what holds in virtual time holds over sockets, as the committed comparison shows.

`pytest -s` prints the deviation of each workload and strategy.
"""

from __future__ import annotations

from statistics import fmean

import pytest

from loadtests.controls import is_control
from loadtests.report import tables
from loadtests.report.results import Results
from loadtests.report.review import DATA
from loadtests.runs.plan import Folder


@pytest.mark.slow
def test_simulated_and_measured_shares_of_users_served_are_close() -> None:
    folder = Folder(DATA)
    runs = [
        run
        for run in folder.runs()
        if run.seed <= tables.SIMULATED_SEEDS and not is_control(run.strategy)
    ]
    found = tables.simulated(Results(folder.about(), folder.plan(), runs))
    off = []
    for workload, strategy, measured, simulated, difference in found.rows:
        print(f"{workload:18}{strategy:8}{measured:>6}{simulated:>6}{difference:>7}")
        off.append(abs(float(difference)))

    assert len(off) == 54
    assert fmean(off) < 0.03
    assert max(off) < 0.12
