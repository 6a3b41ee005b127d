"""`runner probe` on LangGraph: a checkpointer is no fault, and a wrong wrapper is one."""

from __future__ import annotations

from tests.support.probing import IN_TURN, KILLED, NOT_KEPT, RIGHT, UNPROTECTED, probe

AGENTS = "tests.frameworks.probed_langgraph"


def test_a_graph_with_a_checkpointer_of_its_own_is_right_one_turn_at_a_time_and_named() -> None:
    found = probe(f"{AGENTS}:graph", strategies="unprotected")

    assert found.told["kind"] == "LangGraph agent (CompiledStateGraph)"
    assert found.kinds.items() >= RIGHT.items()
    assert found.of(UNPROTECTED)["fault"]
    assert found.status == 0


def test_a_wrapper_that_has_one_thread_for_all_is_seen_to_mix_to_keep_and_to_forget() -> None:
    found = probe(f"{AGENTS}:in_one_thread")

    assert found.kinds[IN_TURN] == "mixes conversations"
    assert found.kinds[NOT_KEPT] == "keeps what was rolled back"
    assert found.kinds[KILLED] == "forgets at a restart"
    assert found.status == 1
