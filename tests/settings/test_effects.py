"""Which settings, given by somebody, are told to have no effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.agents.base import About
from runner.config.effects import without_effect
from runner.config.sources import from_text, load

ASYNC = About("m:f", "async function", False, False, uses_threads=False)
CLASS = About("m:C", "class", True, False)


def told(folder: Path, *settings: str, about: About | None = None) -> list[str]:
    """The keys that are told, with `settings` such as "strategy.name=lock"."""
    pairs = [setting.partition("=") for setting in settings]
    given = [one for key, _, text in pairs for one in from_text((*key.split("."),), text, "test")]
    notes = without_effect(load(given, environ={}, folder=folder), about)
    assert all(" (from test) has no effect: " in note for note in notes)
    return [note.partition(" ")[0] for note in notes]


@pytest.mark.parametrize("strategy", ["lock", "reject"])
@pytest.mark.parametrize(
    "limit",
    [
        "max_running",
        "max_waiting",
        "max_waiting_per_caller",
        "max_waiting_per_conversation",
        "max_wait_s",
    ],
)
def test_a_limit_that_the_strategy_does_not_use_is_told(
    tmp_path: Path, strategy: str, limit: str
) -> None:
    limits = (f"strategy.{limit}=2", "agent.turn_timeout_s=2")
    assert told(tmp_path, f"strategy.name={strategy}", *limits) == [f"strategy.{limit}"]


@pytest.mark.parametrize("strategy", ["queue", "interrupt", "merge"])
def test_a_limit_that_the_strategy_uses_is_not(tmp_path: Path, strategy: str) -> None:
    assert told(tmp_path, f"strategy.name={strategy}", "strategy.max_running=2") == []


def test_reject_among_strategies_of_each_turn_has_the_limits_of_a_queue(tmp_path: Path) -> None:
    given = ("strategy.name=reject", "strategy.per_turn=queue", "strategy.max_running=2")
    assert told(tmp_path, *given) == []


def test_a_default_is_never_told(tmp_path: Path) -> None:
    for name in ("queue", "lock", "reject"):
        assert told(tmp_path, f"strategy.name={name}", "store.url=memory:", about=ASYNC) == []


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        ("memory:", ["store.on_restart", "store.max_attempts"]),
        ("sqlite:///x.db", ["store.memory_turns", "store.memory_bytes"]),
    ],
)
def test_a_setting_of_another_store_is_told(tmp_path: Path, url: str, keys: list[str]) -> None:
    given = ["store.on_restart=run", "store.max_attempts=2", "store.memory_turns=1"]
    assert told(tmp_path, f"store.url={url}", *given, "store.memory_bytes=9") == keys


@pytest.mark.parametrize(
    ("about", "keys"), [(ASYNC, ["agent.threads", "agent.history_turns"]), (CLASS, []), (None, [])]
)
def test_a_setting_that_the_agent_has_no_use_for_is_told(
    tmp_path: Path, about: About | None, keys: list[str]
) -> None:
    assert told(tmp_path, "agent.threads=2", "agent.history_turns=2", about=about) == keys
