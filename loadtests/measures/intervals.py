"""How sure is a difference? Paired by seed, from whole runs, by the bootstrap.

Latencies inside one run are correlated: whoever waits long stands before others
who do. An interval bootstrapped over the requests of one run claims 95 % and covers
far less. So a run is one sample. Two strategies met the same schedule under the same
seed, which takes the schedule's own luck out; what is left is one difference for
each seed, and these are resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from random import Random
from statistics import fmean

ENOUGH = 10
"""Pairs below which no interval is given: the bootstrap of fewer says little."""

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Effect:
    """A mean difference with its 95 % interval (None for too few pairs), and the pairs' own."""

    mean: float
    low: float | None
    high: float | None
    differences: tuple[float, ...]

    @property
    def runs(self) -> int:
        return len(self.differences)

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low is not None and self.high is not None and self.low * self.high > 0


def paired(one: Sequence[float], other: Sequence[float], share: float = 0.95) -> Effect | None:
    """The effect `one - other`, pair by pair; None where no pair is finite.

    Pairs in which either is not finite (a percentile that is "never") are left out
    of the effect, so ask for its `runs`.
    """
    pairs = zip(one, other, strict=True)
    differences = tuple(a - b for a, b in pairs if isfinite(a) and isfinite(b))
    if not differences:
        return None
    low, high = interval(differences, share)
    return Effect(fmean(differences), low, high, differences)


def interval(
    samples: Sequence[float], share: float = 0.95, seed: int = 0
) -> tuple[float | None, float | None]:
    """An interval for the mean of independent samples, by the bootstrap-t.

    Each resample's mean is measured in its own standard errors, which keeps the
    coverage close to `share` for few and skewed samples, where plain percentiles of
    resampled means fall short (Efron and Tibshirani 1993, chapter 12). The same
    samples give the same interval.
    """
    count = len(samples)
    if count < ENOUGH:
        return None, None
    mean, error = fmean(samples), _standard_error(samples)
    if error <= 1e-12 * abs(mean):
        return mean, mean
    rng = Random(seed)
    resamples = (rng.choices(samples, k=count) for _ in range(RESAMPLES))
    ts = sorted(filter(isfinite, (_t(resample, mean) for resample in resamples)))
    tail = (1 - share) / 2
    low_t, high_t = ts[int(tail * len(ts))], ts[int((1 - tail) * len(ts)) - 1]
    return mean - high_t * error, mean - low_t * error


def _t(resample: Sequence[float], mean: float) -> float:
    """How many of its own standard errors the resample's mean is off; of none, infinitely."""
    error = _standard_error(resample)
    return (fmean(resample) - mean) / error if error else inf


def _standard_error(samples: Sequence[float]) -> float:
    """Of their mean. `statistics.stdev` is exact, and a hundred times as slow."""
    mean, count = fmean(samples), len(samples)
    return sqrt(sum((sample - mean) ** 2 for sample in samples) / (count - 1) / count)
