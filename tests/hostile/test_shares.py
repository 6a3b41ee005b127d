"""Shares: what one caller does costs another at most one turn's wait for a slot. I-29."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.client import Answer, until
from tests.support.server import Knobs, Server

TOKENS = ["ann:a-token", "bob:b-token"]
FLOOD = 1_008


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with Server(folder, server__tokens=TOKENS, server__drain_s=0) as running:
        yield running


def flood(caller: Caller, turns: int, message: str = "until over", **headers: str) -> list[Answer]:
    """So many turns in the background, each in a conversation of its own."""
    return [
        caller.chat(f"{message} {number}", f"flood-{number}", prefer="respond-async", **headers)
        for number in range(turns)
    ]


def test_a_flood_of_one_caller_gives_another_no_refusal(ann: Caller, bob: Caller) -> None:
    answers = flood(ann, FLOOD, "sleep 1")
    assert any(answer.status != 202 for answer in answers)
    assert [bob.chat("hello", f"mine-{number}").status for number in range(3)] == [200] * 3


def test_the_flood_itself_is_refused_and_told_when_its_line_will_have_moved(
    folder: Path,
) -> None:
    bounds: Knobs = {"strategy__max_running": 1, "strategy__max_waiting_per_caller": 4}
    with Server(folder, server__tokens=TOKENS, server__drain_s=0, **bounds) as server:
        ann = Caller(server, "a-token")
        ann.chat("sleep 1.5", "measured")
        *accepted, refused = flood(ann, 6)
        assert {answer.status for answer in accepted} == {202}
        assert (refused.status, refused.cause) == (429, "caller-queue-full")
        assert refused.headers["turn-outcome"] == "not_started"
        # Four wait, each for a turn that is expected to take as long as the measured one.
        assert int(refused.headers["retry-after"]) >= 6


def test_a_refusal_has_a_computed_hint_before_any_turn_was_measured(folder: Path) -> None:
    with Server(folder, server__drain_s=0, strategy__max_waiting_per_conversation=1) as server:
        server.ask("until over")
        until(lambda: running(server)["age_s"] > 1.0, "it runs for more than a second")
        server.ask("until over")
        assert int(server.chat("hello").headers["retry-after"]) > 1


def test_all_slots_taken_by_one_caller_cost_another_the_wait_for_one(
    ann: Caller, bob: Caller, server: Server
) -> None:
    long = [ann.chat(f"until over-{n}", f"long-{n}", prefer="respond-async") for n in range(8)]
    assert {answer.status for answer in long} == {202}
    flood(ann, 20)
    mine = bob.chat("hello", "mine", prefer="respond-async").json["turn_id"]
    assert bob("GET", f"/turns/{mine}").json["state"] == "waiting"
    server.let_on("over-0")
    until(lambda: bob("GET", f"/turns/{mine}").json["state"] == "answered", "bob is answered")
    began = [call for call in server.calls() if call.startswith("began")]
    assert began[len(long)] == "began hello"


def test_urgent_turns_of_one_caller_do_not_overtake_another_caller(folder: Path) -> None:
    with Server(
        folder, server__tokens=TOKENS, server__drain_s=0, strategy__max_running=1
    ) as server:
        ann, bob = Caller(server, "a-token"), Caller(server, "b-token")
        ann.chat("until first", "first", prefer="respond-async")
        flood(ann, 20, priority="u=0")
        mine = bob.chat("hello", "mine", prefer="respond-async", priority="u=7").json["turn_id"]
        server.let_on("first")
        until(lambda: bob("GET", f"/turns/{mine}").json["state"] == "answered", "bob is answered")


def test_hung_threads_of_one_caller_leave_threads_to_another(folder: Path) -> None:
    bounds: Knobs = {"agent__threads": 2, "agent__max_hung_threads": 4}
    bounds |= {"agent__turn_timeout_s": 0.2, "target": "tests.support.agents:threaded"}
    with Server(folder, server__tokens=TOKENS, server__drain_s=0, **bounds) as server:
        ann, bob = Caller(server, "a-token"), Caller(server, "b-token")
        for number in range(2):
            assert ann.chat("until told", f"hung-{number}").cause == "turn-timeout"
        until(lambda: server_hung(bob) == 2, "both hang")
        for number in range(4):
            refused = ann.chat("until told", f"more-{number}")
            assert (refused.status, refused.cause) == (503, "agent-hangs")
        assert bob.chat("hello").status == 200
        assert bob("GET", "/health/ready").status == 200
        server.let_on("told")
        until(lambda: server_hung(bob) == 0, "both have ended")
        assert ann.chat("hello", "hung-0").status == 200


def server_hung(caller: Caller) -> int:
    return int(caller("GET", "/health").json["hung_threads"])


def running(server: Server) -> Any:
    """The running turn of the default conversation."""
    return server.request("GET", "/conversations/default").json["running"]
