"""`runner probe` names what overlapping turns do to an agent, on agents that really have it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from loadtests.probe.command import probe_command
from tests.support.client import PATIENCE_S

AGENTS = "tests.loadtests.probe_agents"

FAULTS = {
    "Checkpoint": "lost turn",
    "Session": "stale context",
    "HiddenSession": "stale context",
    "TwoSteps": "unanswered turns sent",
    "Raises": "exception",
    "Aborts": "crash of the process",
    "Hangs": "hang",
    "sound": "stale context",
}


FAST = ("Checkpoint",)


def probe(agent: str, *options: str) -> tuple[int, dict[str, dict[str, object]]]:
    # A trial starts a process, so only the one that must hang is waited for less long.
    limit_s = "15" if agent == "Hangs" else str(PATIENCE_S)
    words = [f"{AGENTS}:{agent}", "--json", "--timeout-s", limit_s, *options]
    result = CliRunner().invoke(probe_command, words)
    found = json.loads(result.output)["strategies"]
    return result.exit_code, {verdict["strategy"]: verdict for verdict in found}


@pytest.mark.parametrize(
    ("agent", "fault"),
    [
        # Each is a dozen processes; the slow run has the classes that the fast one leaves out.
        pytest.param(agent, fault, marks=() if agent in FAST else pytest.mark.slow)
        for agent, fault in FAULTS.items()
    ],
)
def test_each_failure_is_named_and_one_turn_at_a_time_prevents_it(agent: str, fault: str) -> None:
    status, verdicts = probe(agent, "--strategies", "unprotected,queue")

    assert verdicts["unprotected"]["verdict"] == fault
    assert verdicts["unprotected"]["findings"]
    assert verdicts["queue"]["verdict"] == "none seen"
    assert status == 0


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["lock", "reject"])
def test_the_other_strategies_protect_too(strategy: str) -> None:
    status, verdicts = probe("Checkpoint", "--strategies", strategy)

    assert (status, verdicts[strategy]["verdict"]) == (0, "none seen")
    assert bool(verdicts[strategy]["refused"]) == (strategy == "reject")


@pytest.mark.slow
def test_an_agent_in_threads_is_judged_as_one_that_is_async() -> None:
    _, verdicts = probe("sound_in_a_thread", "--strategies", "unprotected,queue")

    assert verdicts["unprotected"]["verdict"] == "stale context"
    assert verdicts["queue"]["verdict"] == "none seen"


def test_an_agent_that_fails_by_itself_is_told_apart() -> None:
    status, verdicts = probe("always_fails")

    assert status == 1
    assert verdicts["one after the other"]["verdict"] == "exception"


@pytest.mark.slow
def test_the_evidence_is_told_in_words() -> None:
    result = CliRunner().invoke(
        probe_command, [f"{AGENTS}:Checkpoint", "--strategies", "unprotected,queue"]
    )

    assert "Checkpoint.messages has nothing of turns" in result.output
    assert "Never call this agent twice at once in a conversation: queue protect" in result.output


def test_a_target_that_is_not_there_is_a_usage_error() -> None:
    result = CliRunner().invoke(probe_command, [f"{AGENTS}:nothing"])

    assert result.exit_code == 2
    assert "has no 'nothing'" in result.output
