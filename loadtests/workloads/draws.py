"""Where random numbers come from: service times of mean 1, and instants of arrival."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from itertools import pairwise
from random import Random

Draw = Callable[[Random], float]
"""A service time, in units of its mean."""


def constant(rng: Random) -> float:
    return 1.0


def exponential(rng: Random) -> float:
    return rng.expovariate(1.0)


def lognormal(sigma: float) -> Draw:
    """Of mean 1: what model replies look like, many short ones and a few very long."""
    return lambda rng: rng.lognormvariate(-(sigma**2) / 2, sigma)


def from_quantiles(points: Sequence[tuple[float, float]]) -> Draw:
    """By inverse transform from [(share, quantile), ...], shares rising from 0 to 1.

    Straight between the points, and scaled so that the mean is 1 whatever they were
    rounded to. Raises ValueError for points that are no distribution of times.
    """
    shares, values = [share for share, _ in points], [value for _, value in points]
    if len(points) < 2 or shares[0] != 0 or shares[-1] != 1 or values[0] < 0:
        raise ValueError("quantiles must go from share 0 to share 1 and not be negative")
    if shares != sorted(set(shares)) or values != sorted(values) or values[-1] <= 0:
        raise ValueError("quantiles must rise")
    mean = mean_of(points)

    def draw(rng: Random) -> float:
        at = rng.random()
        left = bisect_right(shares, at) - 1
        part = (at - shares[left]) / (shares[left + 1] - shares[left])
        return (values[left] + part * (values[left + 1] - values[left])) / mean

    return draw


def mean_of(points: Sequence[tuple[float, float]]) -> float:
    """The mean of the distribution that is straight between these (share, quantile) points."""
    return sum((high - low) * (a + b) / 2 for (low, a), (high, b) in pairwise(points))


def _azure(name: str) -> Draw:
    text = (files("loadtests.workloads") / "azure_2023.json").read_text()
    return from_quantiles([(share, value) for share, value in json.loads(text)[name]["quantiles"]])


azure_conv = _azure("conv")
"""Chat: service times of real traffic; see `loadtests.workloads.azure` for the source."""

azure_code = _azure("code")
"""Code completion: many short ones and a few very long; the same source."""


def poisson(load: Callable[[float], float], horizon: float, rng: Random) -> Iterator[float]:
    """Instants of a Poisson process whose rate may change with `at`, a share of the horizon.

    By thinning (Lewis and Shedler 1979): points of the highest rate, each kept
    with the chance of the rate there.
    """
    highest = max(load(step / 1000) for step in range(1000))
    at = rng.expovariate(highest)
    while at < horizon:
        if rng.random() * highest < load(at / horizon):
            yield at
        at += rng.expovariate(highest)
