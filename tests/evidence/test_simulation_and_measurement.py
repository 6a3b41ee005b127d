"""Claim: what holds in virtual time holds over sockets, as the committed comparison shows.

`pytest -s` prints the deviation of each workload and strategy.
"""

from __future__ import annotations

from statistics import fmean

import pytest

from loadtests.report import rows
from loadtests.report.results import Results
from loadtests.report.review import DATA
from loadtests.runs.plan import Folder

SEEDS = 3


@pytest.mark.slow
def test_simulated_and_measured_shares_of_users_served_in_time_are_close() -> None:
    folder = Folder(DATA)
    plan, table = folder.plan(), rows.read_table(folder)
    real = [row for row in table if row.how == rows.MEASURED and row.seed <= SEEDS]
    results = Results(folder.about(), plan, real)
    real = [row for row in real if row.strategy in (results.subject, *results.others)]
    results = Results(folder.about(), plan, [*real, *rows.simulated(real, plan)])
    off: list[float] = []
    for workload in results.workloads:
        for strategy in results.strategies:
            both = results.both(strategy, workload, "in_time")
            assert both is not None
            print(f"{workload:18}{strategy:8}{both[0]:6.2f}{both[1]:6.2f}{both[1] - both[0]:+7.2f}")
            off.append(abs(both[1] - both[0]))

    assert len(off) == len(plan.workloads) * len(results.strategies)
    assert fmean(off) < 0.05
    assert max(off) < 0.12
