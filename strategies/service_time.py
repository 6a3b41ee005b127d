"""How long does a turn run? Measured, never configured."""

from __future__ import annotations


class ServiceTime:
    """A running estimate of the seconds from a turn's start to its end.

    The smoothed mean and mean deviation of RFC 6298 (Jacobson and Karels'
    estimator for round-trip times), with its gains: alpha = 1/8, beta = 1/4.
    It follows a drifting service and needs two numbers, not a window.
    """

    __slots__ = ("_deviation_s", "_mean_s")

    def __init__(self) -> None:
        self._mean_s: float | None = None
        self._deviation_s = 0.0

    def observe(self, ran_s: float) -> None:
        """Take in one measured turn."""
        if self._mean_s is None:
            self._mean_s, self._deviation_s = ran_s, ran_s / 2
            return
        self._deviation_s += (abs(ran_s - self._mean_s) - self._deviation_s) / 4
        self._mean_s += (ran_s - self._mean_s) / 8

    @property
    def mean_s(self) -> float | None:
        """The expected seconds, or None before the first measurement."""
        return self._mean_s

    @property
    def slack_s(self) -> float:
        """Seconds by which a turn may well take longer than the mean; 0.0 before a measurement.

        One deviation, but an eighth of the mean at least: where all turns take
        the same time, one that would end just at its deadline ends just too late.
        """
        return max(self._deviation_s, (self._mean_s or 0.0) / 8)
