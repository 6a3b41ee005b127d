"""`runner simulate`: the same each time, right in its words, and it recommends what holds."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from loadtests.commands.simulate import simulate_command
from loadtests.simulation.advice import Target


def simulate(*words: str) -> Result:
    return CliRunner().invoke(simulate_command, [*words, "--seeds", "1"])


def test_strategies_are_compared_on_ones_own_traffic() -> None:
    result = simulate("--duration", "30m", "--arrivals", "0.5/s", "--json")

    outcomes = json.loads(result.output)["outcomes"]
    assert [each["setup"]["strategy"] for each in outcomes] == ["queue", "lock", "reject"]
    assert all(each["served"] > 0.9 for each in outcomes)


def test_the_same_words_give_the_same_text() -> None:
    words = ("--workload", "overload-2")

    assert simulate(*words).output == simulate(*words).output


def test_what_is_recommended_meets_the_target() -> None:
    result = simulate(
        *("--duration", "20m", "--arrivals", "1/s", "--json"),
        *("--target", "p95 under 30s for 99% of users"),
    )

    found = json.loads(result.output)
    assert found["meets_target"]
    assert found["recommended"]["served"] >= 0.99
    assert found["recommended"]["at_target_s"] <= 30
    # Four seconds of work a second need more than four slots.
    assert found["recommended"]["setup"]["slots"] == 8


@pytest.mark.slow  # The whole ladder of setups.
def test_a_target_that_nothing_meets_is_said_to_be_out_of_reach() -> None:
    result = simulate(
        *("--duration", "20m", "--arrivals", "1/s", "--conversations", "1"),
        *("--target", "p95 under 5s for 99% of users"),
    )

    assert "No setup meets the target" in result.output
    assert "capacity" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("--arrivals", "often"),
        ("--service", "gamma:2s"),
        ("--clients", "polite"),
        ("--duration", "0s"),
        ("--strategies", "queeu"),
        ("--workload", "brust"),
        ("--target", "soon"),
        ("--arrivals", "1/d", "--duration", "1s"),
    ],
)
def test_what_cannot_be_is_a_usage_error(words: tuple[str, ...]) -> None:
    assert simulate(*words).exit_code == 2


def test_a_target_is_read_from_words() -> None:
    target = Target.parse("p99 under 2m for 95.5% of users")

    assert (target.percentile, target.limit_s, target.share) == (0.99, 120.0, 0.955)
    assert Target.parse("p5 under 1s").percentile == 0.05
    with pytest.raises(ValueError, match="is not such as"):
        Target.parse("p100 under 1s")
