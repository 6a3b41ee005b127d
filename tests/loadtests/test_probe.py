"""`runner probe` on agents with and without faults, each in real server processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import probing
from tests.support.probing import (
    CANCELLED,
    FAILING,
    IN_TURN,
    KILLED,
    NOT_KEPT,
    QUEUE,
    RIGHT,
    TWO,
    UNPROTECTED,
    Found,
)

AGENTS = "tests.loadtests.probe_agents"


def probe(agent: str, *options: str, **more: Any) -> Found:
    return probing.probe(f"{AGENTS}:{agent}", *options, **more)


# Agents without a fault.


@pytest.mark.parametrize(
    "agent",
    [
        "with_state",
        "by_history",
        "in_a_thread",
        "FromHistory",
    ],
)
def test_an_agent_that_remembers_what_was_kept_has_no_fault_one_turn_at_a_time(agent: str) -> None:
    found = probe(agent, strategies="queue")

    assert found.kinds.items() >= (RIGHT | {QUEUE: "none seen"}).items()
    assert found.status == 0


@pytest.mark.parametrize("agent", ["by_history", "with_state", "FromHistory"])
def test_without_protection_it_loses_turns_and_the_advice_is_what_protects_it(agent: str) -> None:
    found = probe(agent, strategies="unprotected,queue,lock,reject")

    assert found.of(UNPROTECTED)["fault"]
    assert found.told["advice"] == [
        "Never call this agent twice at once in a conversation: queue, lock, reject protect it."
    ]
    assert found.of("overlapping turns, reject")["refused"] > 0
    assert found.status == 0


def test_an_agent_that_misses_a_question_now_and_then_is_not_accused() -> None:
    found = probe("Absent", strategies="queue")

    assert found.kinds[IN_TURN] == "remembers"
    assert not any(one["fault"] for one in found.told["verdicts"])
    assert found.status == 0


def test_what_is_missed_without_overlapping_too_is_not_laid_to_overlapping() -> None:
    found = probe("Distracted", strategies="queue")

    assert found.kinds[QUEUE] == "none seen"
    assert "as also happens without overlapping turns" in found.of(QUEUE)["note"]


def test_a_framework_or_an_object_is_named_as_what_it_was_taken_for() -> None:
    assert probe("with_state").told["kind"] == (
        "async function (WithState.answer), its state kept with the history"
    )


# Agents that remember nothing, or of which it cannot be told.
@pytest.mark.parametrize("agent", ["ignores_history", "echo"])
def test_an_agent_that_remembers_nothing_is_called_that_and_not_accused(agent: str) -> None:
    found = probe(agent, strategies="unprotected")

    assert found.kinds[IN_TURN] == "remembers nothing"
    assert set(found.kinds.values()) <= {"remembers nothing", "nothing to lose", "cannot tell"}
    assert found.told["advice"][0].startswith("It remembers nothing from turn to turn")
    assert found.status == 0


@pytest.mark.parametrize("agent", ["off_topic", "counts"])
def test_an_agent_that_cannot_answer_the_question_is_not_said_to_remember_nothing(
    agent: str,
) -> None:
    found = probe(agent)

    assert set(found.kinds.values()) == {"cannot tell"}
    assert "Say --tell and --ask" in found.told["advice"][0]
    assert found.status == 0


def test_other_sentences_may_be_given_and_numbers_are_found_however_they_are_written() -> None:
    found = probe("number_keeper", "--tell", "My order {number}.", "--ask", "Which one?")

    assert found.kinds[IN_TURN] == "remembers"


def test_of_an_agent_that_asks_a_person_nothing_is_said() -> None:
    found = probe("asks_a_person")

    assert found.kinds == {IN_TURN: "cannot tell"}
    assert "asks for a person" in found.of(IN_TURN)["note"]


# Agents with a fault.


def test_a_memory_that_conversations_share_is_named_and_so_are_its_other_faults() -> None:
    found = probe("in_a_global")

    assert found.kinds[IN_TURN] == "mixes conversations"
    assert found.kinds[TWO] == "mixes conversations"
    assert found.kinds[NOT_KEPT] == "keeps what was rolled back"
    assert found.kinds[KILLED] == "forgets at a restart"
    assert found.status == 1


def test_an_object_with_a_history_of_its_own_keeps_what_failed_and_forgets_at_a_restart() -> None:
    found = probe("appends_first", strategies="queue")

    assert found.kinds == {
        IN_TURN: "remembers",
        TWO: "one conversation only",
        NOT_KEPT: "keeps what was rolled back",
        CANCELLED: "keeps what was rolled back",
        KILLED: "forgets at a restart",
        QUEUE: "none seen",
    }
    assert any("get_state()" in text for text in found.told["advice"])


def test_a_store_of_the_agents_own_that_knows_of_no_rollback_is_seen_after_a_kill_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNLINE_TEST_FILES", str(tmp_path))
    found = probe("with_own_files")

    for question in (NOT_KEPT, CANCELLED, KILLED):
        assert found.kinds[question] == "keeps what was rolled back"
    assert found.kinds[TWO] == "none seen"
    assert all(file.name.startswith("probe-") for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("agent", "question", "fault"),
    [
        ("ReadsThenWrites", UNPROTECTED, "lost turn"),
        ("Wiped", CANCELLED, "lost turn"),
        ("StaysBusy", CANCELLED, "fails"),
        ("StaysBusy", UNPROTECTED, "fails"),
        ("Aborts", UNPROTECTED, "dies"),
    ],
)
def test_each_fault_is_named_where_it_is_seen_and_not_under_queue(
    agent: str, question: str, fault: str
) -> None:
    found = probe(agent, strategies="unprotected,queue")

    assert found.kinds[IN_TURN] == "remembers"
    assert found.kinds[question] == fault
    assert found.of(question)["findings"][0]["evidence"]
    assert found.kinds[QUEUE] == "none seen"


def test_a_process_that_ends_is_started_again_for_what_is_left_to_try() -> None:
    found = probe("DiesOfIt")

    assert found.of(CANCELLED)["findings"][0]["evidence"].endswith("ended with status 3")
    assert found.kinds[CANCELLED] == "dies"
    assert found.kinds[KILLED] == "none seen"
    assert found.status == 1


def test_an_agent_that_hangs_costs_one_time_limit_and_the_rest_is_tried() -> None:
    found = probe("Hangs", strategies="unprotected,queue", limit_s=4.0)

    assert found.kinds[UNPROTECTED] == "hangs"
    assert found.kinds[QUEUE] == "none seen"


def test_a_turn_that_fails_by_itself_is_tried_where_its_message_is_known() -> None:
    fails = ("--fail", "Fail. My name is {word}.")
    assert probe("fails_on_request", *fails).kinds[FAILING] == "keeps what was rolled back"
    assert probe("FromHistory", *fails).of(FAILING)["note"] == "the message of --fail was answered"


def test_an_agent_that_always_fails_is_tried_no_further_and_its_error_is_shown() -> None:
    found = probe("always_fails", strategies="queue")

    assert found.kinds == {IN_TURN: "fails", QUEUE: "not tried"}
    assert "ValueError: no model here" in found.of(IN_TURN)["findings"][0]["evidence"]
    assert found.status == 1


# Settings, and what is said.
def test_the_agents_settings_are_the_users_and_none_of_the_others_gets_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "def make(*, greeting, name):\n"
        "    return lambda message: f'{greeting}, {name}! You said: {message}'\n"
    )
    (tmp_path / "runner.toml").write_text(
        "[agent]\ntarget = 'mine:make'\noptions = {greeting = 'Hello'}\n"
        "[server]\nport = 1\nidle_shutdown_s = 0.1\n[server.tokens]\nann = 'secret'\n"
        "[strategy]\nname = 'lock'\nper_turn = ['queue']\n[store]\nurl = 'sqlite:///mine.db'\n"
    )
    monkeypatch.chdir(tmp_path)
    found = probing.probe("mine:make", "--set", "agent.options.name=Bea", strategies="queue")

    assert (found.status, found.kinds[IN_TURN]) == (0, "remembers nothing")
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == [
        "mine.py",
        "runner.toml",
    ]


def test_what_it_is_about_to_do_is_said_first_and_the_evidence_in_words() -> None:
    result = probing.run(f"{AGENTS}:in_a_global", "--strategies", "")

    assert "The server's store is a temporary one." in " ".join(result.stderr.split())
    assert f"{AGENTS}:in_a_global was taken for: async function" in result.stdout
    assert "told in another conversation: 'You are" in result.stdout
    assert "keep nothing in globals" in result.stdout


def test_a_target_that_is_not_there_is_a_usage_error() -> None:
    result = probing.run(f"{AGENTS}:nothing")

    assert result.exit_code == 2
    assert "has no 'nothing'" in result.stderr


@pytest.mark.parametrize(
    "options", [("--tell", "Hello"), ("--ask", "What is {word}?"), ("--ask", " ")]
)
def test_sentences_without_sense_are_a_usage_error(options: tuple[str, str]) -> None:
    result = probing.run(f"{AGENTS}:echo", *options)

    assert result.exit_code == 2
    assert options[0] in result.stderr
