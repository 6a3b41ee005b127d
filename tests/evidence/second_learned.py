"""What the `queue` of the second simulator learns, from its rules in words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean

UNTOLD_RUNS = 6
STANDING_RUNS = 20
DEPARTURES = 3


@dataclass(frozen=True, slots=True)
class Stay:
    """How long untold clients wait, by the product-limit estimate.

    masses   (wait, share of the clients that leave then), ascending.
    tail     the share that stays beyond all of them.
    doubt    what one departure more would count.
    """

    masses: tuple[tuple[float, float], ...]
    tail: float
    doubt: float

    @classmethod
    def of(cls, waits: Sequence[tuple[float, bool]]) -> Stay | None:
        """From (wait, whether it ended with a departure); None for too few departures."""
        departures = sum(departed for _, departed in waits)
        if departures < DEPARTURES:
            return None
        share, masses = 1.0, list[tuple[float, float]]()
        # At equal waits departures count before those who were not seen to leave.
        ordered = sorted(waits, key=lambda each: (each[0], not each[1]))
        for number, (wait_s, departed) in enumerate(ordered):
            if departed:
                mass = share / (len(ordered) - number)
                masses.append((wait_s, mass))
                share -= mass
        return cls(tuple(masses), share, 1 / departures)

    def chance(self, waited_s: float, runs_s: Sequence[float]) -> float:
        """That an answer which is begun now still finds its client. The runs ascend."""
        here = [(wait_s, mass) for wait_s, mass in self.masses if wait_s > waited_s]
        found = sum(mass * share_within(runs_s, wait_s - waited_s) for wait_s, mass in here)
        rest = self.tail + self.doubt
        return (found + rest) / (sum(mass for _, mass in here) + rest)

    def median_s(self) -> float:
        share = 1.0
        for wait_s, mass in self.masses:
            share -= mass
            if share <= 0.5 + 1e-12:
                return wait_s
        return inf


def share_within(runs_s: Sequence[float], limit_s: float) -> float:
    return bisect_right(runs_s, limit_s) / len(runs_s)


def answers_per_second(runs_s: Sequence[float], limit_s: float) -> float:
    """Of agent work, where the agent is stopped at the limit. The runs ascend."""
    share = share_within(runs_s, limit_s)
    work_s = fmean(min(ran_s, limit_s) for ran_s in runs_s)
    return share and (share / work_s if work_s else inf)


@dataclass(slots=True)
class Taken:
    """Counts the runs taken from a line, or from the ring.

    at_empty   the count when it was last empty.
    at_newest  the count when the last turn came.
    """

    count: int = 0
    at_empty: int = 0
    at_newest: int = 0

    def stands(self, times: int) -> bool:
        return self.count - self.at_empty >= STANDING_RUNS * times

    def is_past(self, seen: int, times: int) -> bool:
        """Whether a turn that has seen so many is too old, and others are not."""
        limit, newest = UNTOLD_RUNS * times, self.count - self.at_newest
        return self.stands(times) and newest < limit <= seen
