"""`runner probe` on LangGraph: a checkpointer is no fault, and a wrong wrapper is one."""

from __future__ import annotations

from tests.support.probing import IN_TURN, KILLED, NOT_KEPT, QUEUE, RIGHT, UNPROTECTED, probe

AGENTS = "tests.frameworks.probed_langgraph"


def test_a_graph_with_a_checkpointer_of_its_own_is_right_under_queue_and_named_as_a_graph() -> None:
    found = probe(f"{AGENTS}:graph", strategies="unprotected,queue")

    assert found.told["kind"] == "LangGraph agent (CompiledStateGraph)"
    assert found.kinds.items() >= (RIGHT | {QUEUE: "none seen"}).items()
    assert found.of(UNPROTECTED)["fault"]
    assert found.status == 0


def test_a_wrapper_that_has_one_thread_for_all_is_seen_to_mix_to_keep_and_to_forget() -> None:
    found = probe(f"{AGENTS}:in_one_thread")

    assert found.kinds[IN_TURN] == "mixes conversations"
    assert found.kinds[NOT_KEPT] == "keeps what was rolled back"
    assert found.kinds[KILLED] == "forgets at a restart"
    assert found.status == 1
