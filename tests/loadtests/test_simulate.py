"""`runner simulate`: the same each time, right in its words, and it recommends what holds."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from loadtests.commands.simulate import simulate_command
from loadtests.simulation.setups import Target
from runner.__main__ import cli


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


TARGET = ("--target", "p95 under 30s for 99% of users")
SILENT = ("--clients", "give-up,silent,stay,timeout=20s", *TARGET)


@cache
def overloaded() -> Result:
    """Twice as much as one conversation can be served; nobody tells, leaves or tries again."""
    return simulate("--arrivals", "0.5/s", "--conversations", "1", "--duration", "2m", *SILENT)


def test_the_fewest_slots_that_meet_the_target_are_recommended_and_no_power_of_two() -> None:
    # 2.4 seconds of work come in a second: two slots cannot do it.
    result = simulate(
        *("--arrivals", "0.6/s", "--duration", "3m", "--clients", "give-up", "--json"), *TARGET
    )

    found = json.loads(result.output)
    assert found["meets_target"]
    assert found["settings"] == {"name": "queue", "max_running": 3}
    assert found["recommended"]["served"] >= 0.99
    assert found["recommended"]["at_target_s"] <= 30
    assert found["one_slot_fewer"]["at_target_s"] > 30 or found["one_slot_fewer"]["served"] < 0.99


def test_slots_beyond_the_backends_of_the_agent_are_not_recommended() -> None:
    result = simulate(
        *("--duration", "2m", "--backends", "1", "--json", "--arrivals", "0.5/s", *SILENT)
    )

    found = json.loads(result.output)
    assert not found["meets_target"]
    assert found["recommended"]["setup"]["slots"] == 1


def test_what_is_recommended_is_settings_that_the_server_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = overloaded()
    table = re.search(r"^  \[strategy\]\n(?:  .*\n)+", result.output, re.MULTILINE)
    assert table is not None
    assert "max_wait_s" in table[0] or "max_waiting_per_conversation" in table[0]

    (tmp_path / "runner.toml").write_text(dedent(table[0]))
    monkeypatch.chdir(tmp_path)
    checked = CliRunner().invoke(cli, ["config", "check"])

    assert checked.exit_code == 0, checked.output


def test_a_target_that_nothing_meets_is_said_to_be_out_of_reach() -> None:
    result = overloaded()

    assert "No setup meets the target" in result.output
    assert "capacity" in result.output


def test_a_log_too_short_to_be_judged_on_is_not_called_sure(tmp_path: Path) -> None:
    log = tmp_path / "short.log"
    turns = ({"at": 5.0 * n, "conversation": "c", "service_s": 1.0} for n in range(20))
    log.write_text("".join(json.dumps(turn) + "\n" for turn in turns))

    found = json.loads(simulate("--trace", str(log), "--json", *TARGET).output)

    assert found["meets_target"]
    assert not found["sure"]


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
