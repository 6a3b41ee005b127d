"""Do the intervals cover, on data whose truth is known?"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from random import Random

import pytest

from loadtests.measures.intervals import ENOUGH, interval, paired

TRIALS = 250


def holds(found: tuple[float | None, float | None], truth: float) -> bool:
    low, high = found
    assert low is not None
    assert high is not None
    return low <= truth <= high


@pytest.mark.slow  # Statistics.
@pytest.mark.parametrize(
    ("name", "draw", "truth"),
    [
        ("normal", lambda rng: rng.gauss(1.0, 2.0), 1.0),
        ("skewed", lambda rng: rng.expovariate(1.0), 1.0),
        ("bounded", lambda rng: rng.random(), 0.5),
    ],
)
def test_an_interval_of_ten_runs_covers_the_mean_as_often_as_it_says(
    name: str, draw: Callable[[Random], float], truth: float
) -> None:
    rng = Random(f"cover {name}")
    covered = 0
    for trial in range(TRIALS):
        covered += holds(interval([draw(rng) for _ in range(10)], seed=trial), truth)

    assert 0.90 <= covered / TRIALS <= 0.99


@pytest.mark.slow  # Statistics.
def test_resampling_the_requests_of_one_run_would_cover_far_less_than_it_says() -> None:
    """Why a run is one sample: waits in a queue hang together."""
    rng = Random(1)
    covered = 0
    for _ in range(40):
        waited, waits = 0.0, []
        for _ in range(200):
            waits.append(waited)
            waited = max(0.0, waited + rng.expovariate(1.0) - rng.expovariate(0.8))
        covered += holds(interval(waits), 4.0)

    assert covered < 20


def test_fewer_runs_than_ten_have_no_interval() -> None:
    assert interval([1.0] * (ENOUGH - 1)) == (None, None)


def test_equal_differences_have_an_interval_without_width() -> None:
    assert interval([0.25] * 10) == (0.25, 0.25)


def test_pairing_takes_the_luck_of_the_schedule_out() -> None:
    rng = Random(2)
    luck = [rng.gauss(0, 100) for _ in range(10)]
    found = paired([x + 1 + rng.gauss(0, 0.1) for x in luck], luck)

    assert found is not None
    assert found.is_clear
    assert found.mean == pytest.approx(1, abs=0.2)


def test_pairs_that_are_never_or_not_known_are_left_out_and_counted() -> None:
    found = paired([1.0, inf, nan, 4.0], [0.0, 0.0, 0.0, 1.0])

    assert found is not None
    assert (found.runs, found.mean) == (2, 2.0)


def test_no_finite_pair_is_no_effect() -> None:
    assert paired([inf], [1.0]) is None


def test_the_same_samples_have_the_same_interval() -> None:
    samples = [float(x * x % 7) for x in range(12)]

    assert interval(samples) == interval(samples)
