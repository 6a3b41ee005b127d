"""Many setups on a few runs: which are worth a second look?

All setups meet the same runs, so what differs is the setup and not luck. The worse ones
are dropped after two runs each, more of them after four, and so on (sequential halving:
Karnin, Koren and Somekh 2013). The best of many on few runs was also lucky in them:
its figures here are too good, and only say whom to judge on other runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loadtests.simulation.setups import Setup, Target, near
from loadtests.simulation.simulate import simulate
from loadtests.simulation.trials import Score, mean, meets, score
from loadtests.workloads.workload import Workload

ALL = 12
"""Runs on which a single setup is looked at; enough traffic has so many."""
ROUNDS = ((2, 10), (4, 4), (ALL, 2))
"""(runs of each setup, setups that are kept after them)"""
HOPELESS = ((1, 0.1), (2, 0.03))
"""(runs, share): who is so far off the target after them is not saved by more runs."""
CLOSER = (1.5, 1.22)
"""How far the waits of neighbours are: between two of the grid, then between two of these."""
LATE = 0.03
"""The percentile is out of reach where every setup misses it by so much."""
AS_GOOD = 0.005
"""Share of users which is not worth another slot."""


class Screening:
    """Looks at setups under `traffic`, and remembers each run's score.

    begin  is told of a setup before each of its runs.
    """

    def __init__(
        self, traffic: Sequence[Workload], target: Target, begin: Callable[[Setup], None]
    ) -> None:
        self.traffic, self.target = traffic, target
        self._begin = begin
        self._scores: dict[Setup, list[Score]] = {}

    def mean(self, setup: Setup, runs: int = ALL) -> Score:
        return mean(self._first(setup, runs))

    def meets(self, setup: Setup) -> bool:
        """Looks at no more runs than it takes to see that the setup is far off."""
        if self.is_hopeless(setup):
            return False
        return meets(self.mean(setup), self.target)

    def is_hopeless(self, setup: Setup) -> bool:
        return any(self._short(setup, runs) > share for runs, share in HOPELESS)

    def _short(self, setup: Setup, runs: int) -> float:
        """By how much it misses the target, as a share of the users."""
        found = self.mean(setup, runs)
        return max(self.target.share - found.served, -found.spare)

    def best(self, setups: Sequence[Setup], *, must_meet: bool = False) -> list[Setup]:
        """The best few, the best first; if they must meet the target and all are far off, one."""
        left = list(setups)
        if must_meet:
            left = [setup for setup in setups if not self.is_hopeless(setup)]
            if not left:
                return self._ranked(setups, 1)[:1]
        for runs, kept in ROUNDS:
            left = self._ranked(left, runs)[:kept]
        return left

    def refined(self, setup: Setup) -> Setup:
        """The best of this one and its neighbours, then of that one and closer neighbours."""
        for ratio in CLOSER:
            setup = self._ranked([setup, *near(setup, self.traffic[0], ratio)], ALL)[0]
        return setup

    def boldest(self, strategy: str) -> list[Setup]:
        """Of this strategy's that were looked at closely: which serves most, late or nearly.

        Where the percentile is close to its limit, a few runs cannot tell on which side.
        """
        close = [
            (self.mean(setup).served, setup)
            for setup, scores in self._scores.items()
            if setup.strategy == strategy and len(scores) >= ALL and self.mean(setup).spare > -LATE
        ]
        return [max(close, key=lambda each: each[0])[1]] if close else []

    def fewest(self, setup: Setup, is_good: Callable[[Setup], bool]) -> Setup:
        """The setup with the fewest slots that is good; by halves, as more slots are no worse."""
        if "max_running" not in setup.settings:
            return setup
        bad, good = 0, setup.slots
        while good - bad > 1:
            middle = (bad + good) // 2
            if is_good(setup.with_slots(middle)):
                good = middle
            else:
                bad = middle
        return setup.with_slots(good)

    def fewest_as_good(self, setup: Setup) -> Setup:
        """With the fewest slots that serve as many."""
        whole = self.mean(setup)

        def is_good(fewer: Setup) -> bool:
            found = self.mean(fewer)
            slower = min(whole.spare, 0.0) - found.spare
            return max(whole.served - found.served, slower) <= AS_GOOD

        return self.fewest(setup, is_good)

    def _ranked(self, setups: Sequence[Setup], runs: int) -> list[Setup]:
        """The best first; of those that came to just the same, the one with fewest settings."""
        found = {setup: self.mean(setup, runs) for setup in setups}
        in_reach = any(each.spare >= -LATE for each in found.values())
        weight = 10 if in_reach else 0  # The percentile rules where it can be had.

        def order(setup: Setup) -> tuple[float, int]:
            late = max(0.0, -found[setup].spare - AS_GOOD)
            return weight * late - found[setup].served, len(setup.settings)

        distinct: dict[tuple[Score, ...], Setup] = {}
        for setup in sorted(setups, key=order):
            distinct.setdefault(tuple(self._first(setup, runs)), setup)
        return list(distinct.values())

    def _first(self, setup: Setup, runs: int) -> list[Score]:
        scores = self._scores.setdefault(setup, [])
        for workload in self.traffic[len(scores) : runs]:
            self._begin(setup)
            run = simulate(setup.strategy, workload, limits=setup.limits, chain=False)
            scores.append(score(run, self.target))
        return scores[:runs]
