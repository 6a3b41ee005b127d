"""`runner probe` on Pydantic AI: the agent itself, and functions around it that lose its words."""

from __future__ import annotations

from tests.support.probing import (
    IN_TURN,
    KILLED,
    NOT_KEPT,
    QUEUE,
    RIGHT,
    UNPROTECTED,
    probe,
)

AGENTS = "tests.frameworks.probed_pydantic_ai"


def test_an_agent_is_right_under_queue_and_named_as_one() -> None:
    found = probe(f"{AGENTS}:agent", strategies="unprotected,queue")

    assert found.told["kind"] == "Pydantic AI agent (Agent)"
    assert found.kinds.items() >= (RIGHT | {QUEUE: "none seen"}).items()
    assert found.of(UNPROTECTED)["fault"]


def test_a_wrapper_that_passes_no_history_is_said_to_remember_nothing() -> None:
    found = probe(f"{AGENTS}:without_history")

    assert found.kinds[IN_TURN] == "remembers nothing"
    assert found.status == 0


def test_a_wrapper_with_the_messages_in_an_object_loses_overlapping_turns_and_what_was_kept() -> (
    None
):
    found = probe(f"{AGENTS}:KeepsMessages", strategies="unprotected")

    assert found.kinds[UNPROTECTED] == "lost turn"
    assert found.kinds[NOT_KEPT] == "keeps what was rolled back"
    assert found.kinds[KILLED] == "forgets at a restart"
