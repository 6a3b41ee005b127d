"""How long does a turn run? Measured, never configured."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from dataclasses import dataclass
from math import log, log1p, sqrt
from statistics import NormalDist

NORMAL = NormalDist()

TAIL = NORMAL.inv_cdf(0.9)
"""80 % lie between the quantiles of 10 % and 90 %, this many deviations from the middle."""

WINDOW = 100
"""Measurements that count. Of 50 to 200 any number serves as well: fewer follow a drifting
service sooner, more are surer of the tail."""


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds that are not certain: their mean and variance. Independent ones can be added."""

    mean_s: float
    variance_s2: float

    def __add__(self, other: Span) -> Span:
        return Span(self.mean_s + other.mean_s, self.variance_s2 + other.variance_s2)


NONE = Span(0.0, 0.0)


class ServiceTime:
    """The seconds from a turn's start to its end: the distribution of the last WINDOW turns.

    mean_s  their mean, or None before the first measurement.
    """

    __slots__ = ("_latest", "_ordered", "_variance", "mean_s")

    def __init__(self) -> None:
        self.mean_s: float | None = None
        self._latest: deque[float] = deque(maxlen=WINDOW)
        self._ordered: list[float] = []
        self._variance: float | None = None

    def __len__(self) -> int:
        """How many measurements count."""
        return len(self._ordered)

    def observe(self, ran_s: float) -> None:
        if len(self._latest) == WINDOW:
            del self._ordered[bisect_right(self._ordered, self._latest[0]) - 1]
        self._latest.append(ran_s)
        insort(self._ordered, ran_s)
        self._variance = None
        self.mean_s = sum(self._ordered) / len(self._ordered)

    # The distribution, once something was measured.

    def within(self, seconds: float) -> float:
        """The share of turns that end in that time."""
        return bisect_right(self._ordered, seconds) / len(self._ordered)

    def work_s(self, seconds: float) -> float:
        """Mean seconds of the agent's work for a turn that is stopped after that time."""
        ended = bisect_right(self._ordered, seconds)
        if ended == len(self._ordered):
            return self.mean_s or 0.0
        rest_s = (len(self._ordered) - ended) * max(seconds, 0.0)
        return (sum(self._ordered[:ended]) + rest_s) / len(self._ordered)

    # Forecasts, once something was measured.

    def one_by_one(self, turns: int) -> Span:
        """Until that many turns have run, each after the other."""
        return Span(turns * (self.mean_s or 0.0), turns * self._spread_s2)

    def slots_freed(self, turns: int, slots: int) -> Span:
        """Until that many have ended of those that run in all of the slots.

        The slots do not run in step, so the first few ends come at random, as in a
        Poisson process: a sixth of a turn for each slot (the variance of an equilibrium
        renewal process; Cox, Renewal Theory, 1962). The others vary as one turn's time does.
        """
        mean_s = self.mean_s or 0.0
        at_random = min(turns, slots / 6)
        variance_s2 = (turns - at_random) * self._spread_s2 + at_random * mean_s**2
        return Span(turns * mean_s / slots, variance_s2 / slots**2)

    def remaining(self, ran_s: float) -> Span:
        """Until a turn ends that has run for so long.

        The lognormal distribution of the measured mean and variance, past `ran_s`: one that
        has run for long is one of the long ones, so what is left of the mean is too little.
        """
        mean_s, variance_s2 = self.mean_s or 0.0, self._variance_s2
        square = log1p(variance_s2 / mean_s**2) if mean_s > 0.0 else 0.0
        if square == 0.0 or ran_s <= 0.0:
            return Span(max(mean_s - ran_s, 0.0), self._spread_s2)
        sigma = sqrt(square)
        # Of the normal distribution of the logarithm, in deviations below its middle.
        place = (log(mean_s / ran_s) - square / 2) / sigma
        alive = NORMAL.cdf(place)
        if alive < 1e-6:  # Too few to divide by: the tail's first term.
            left_s = -ran_s * sigma / place
            return Span(left_s, left_s**2)
        ends_s = mean_s * NORMAL.cdf(place + sigma) / alive
        square_s2 = (mean_s**2 + variance_s2) * NORMAL.cdf(place + 2 * sigma) / alive
        return Span(max(ends_s - ran_s, 0.0), max(square_s2 - ends_s**2, 0.0))

    def range_s(self, wait: Span) -> tuple[float, float]:
        """Between these the wait ends with a chance of 80 %.

        The quantiles of a gamma distribution of that mean and variance (Wilson and
        Hilferty, Proc. Natl. Acad. Sci. 17, 1931). What waits for one of several slots
        may well end at once, which a lognormal distribution has not.
        """
        mean_s, unit_s = wait.mean_s, self.mean_s or 0.0
        if mean_s <= 0.0 or unit_s <= 0.0:
            return max(mean_s, 0.0), max(mean_s, 0.0)
        doubt = self._spread_s2 / unit_s**2 / len(self)  # The mean itself is an estimate.
        ninth = (wait.variance_s2 / mean_s**2 + doubt) / 9
        middle, swing = 1 - ninth, TAIL * sqrt(ninth)
        low_s, high_s = mean_s * max(middle - swing, 0.0) ** 3, mean_s * (middle + swing) ** 3
        return min(low_s, mean_s), max(high_s, mean_s)

    @property
    def _variance_s2(self) -> float:
        if self._variance is None:
            mean_s = self.mean_s or 0.0
            squares_s2 = sum((ran_s - mean_s) ** 2 for ran_s in self._ordered)
            self._variance = squares_s2 / max(len(self._ordered), 1)
        return self._variance

    @property
    def _spread_s2(self) -> float:
        """The variance; of a single measurement what RFC 6298 presumes, half of it either way."""
        return self._variance_s2 if len(self) > 1 else ((self.mean_s or 0.0) / 2) ** 2
