"""Do the intervals cover, on data whose truth is known?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import exp, inf, nan
from random import Random

import pytest

from loadtests.measures.intervals import ENOUGH, interval, paired

TRIALS = 1_000


def holds(found: tuple[float | None, float | None], truth: float) -> bool:
    low, high = found
    assert low is not None
    assert high is not None
    return low <= truth <= high


def rare(share: float) -> Callable[[Random], float]:
    return lambda rng: rng.expovariate(1.0) if rng.random() < share else 0.0


@pytest.mark.slow  # Statistics.
@pytest.mark.parametrize("count", [10, 20, 30])
@pytest.mark.parametrize(
    ("name", "draw", "truth", "least"),
    [
        ("normal", lambda rng: rng.gauss(1.0, 2.0), 1.0, 0.93),
        ("skewed", lambda rng: rng.expovariate(1.0), 1.0, 0.89),
        ("bounded", lambda rng: rng.random(), 0.5, 0.93),
        ("two values", lambda rng: float(rng.random() < 0.3), 0.3, 0.93),
        ("80 % zeros", rare(0.2), 0.2, 0.88),
        ("95 % zeros", rare(0.05), 0.05, 0.88),
        ("heavy tail", lambda rng: rng.lognormvariate(0.0, 1.2), exp(0.72), 0.84),
    ],
)
def test_an_interval_of_runs_that_differ_covers_the_mean_about_as_often_as_it_says(
    name: str, draw: Callable[[Random], float], truth: float, least: float, count: int
) -> None:
    rng = Random(f"cover {name} {count}")
    drawn = ([draw(rng) for _ in range(count)] for _ in range(TRIALS))
    differing = [samples for samples in drawn if len(set(samples)) > 1]
    covered = sum(holds(interval(samples), truth) for samples in differing)

    assert covered / len(differing) >= least


@pytest.mark.slow  # Statistics.
@pytest.mark.parametrize("zeros", [0.0, 0.8, 0.95])
def test_strategies_that_do_the_same_are_rarely_called_clearly_different(zeros: float) -> None:
    rng = Random(f"same {zeros}")
    clear = 0
    for _ in range(TRIALS):
        samples = [rng.gauss(0.0, 1.0) if rng.random() >= zeros else 0.0 for _ in range(20)]
        found = paired(samples, [0.0] * 20)
        clear += found is not None and found.is_clear

    assert clear / TRIALS <= 0.08


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


@pytest.mark.parametrize(
    ("ones", "count", "size"), [*product((1, 2, 5, 9), (10, 20, 200), (1e-9, 1.0, 1e9))]
)
def test_rare_differences_have_an_interval_near_their_range(
    ones: int, count: int, size: float
) -> None:
    low, high = interval([size] * ones + [0.0] * (count - ones))

    assert low is not None
    assert high is not None
    assert -1.6 * size < low < ones / count * size < high < 2.6 * size


def test_one_rare_difference_is_not_clear() -> None:
    found = paired([1.0] + [0.0] * 9, [0.0] * 10)

    assert found is not None
    assert not found.is_clear


def test_sides_that_swap_negate_the_interval() -> None:
    rng = Random(3)
    for _ in range(50):
        samples = [rng.lognormvariate(0, 2) * (rng.random() < 0.4) for _ in range(20)]
        low, high = interval(samples)
        swapped_low, swapped_high = interval([-sample for sample in samples])

        assert low is not None
        assert high is not None
        assert (swapped_low, swapped_high) == (-high, -low)


def test_samples_without_skew_have_students_interval() -> None:
    low, high = interval([float(x) for x in range(-5, 6) if x])

    assert high == pytest.approx(2.262157 * (110 / 9 / 10) ** 0.5)
    assert low == pytest.approx(-2.262157 * (110 / 9 / 10) ** 0.5)


@pytest.mark.parametrize(
    ("shift", "is_below"), [(-0.5, True), (0.5, False), (-0.005, False), (0.0, False)]
)
def test_clearly_below_is_an_interval_below_zero_and_a_mean_below_the_margin(
    shift: float, is_below: bool
) -> None:
    noise = [0.001 * (number % 5 - 2) for number in range(20)]
    found = paired([shift + one for one in noise], [0.0] * 20)

    assert found is not None
    assert found.is_clearly_below(0.01) == is_below
