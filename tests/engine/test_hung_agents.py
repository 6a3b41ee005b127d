"""Agents that hang, and callers that flood, over processes: I-13, I-29."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine import findings
from tests.engine.cluster import Cluster
from tests.support.caller import Caller
from tests.support.client import until
from tests.support.postgres import execute
from tests.support.server import Knobs


@pytest.fixture
def narrow(tmp_path: Path, url: str) -> Iterator[Cluster]:
    """Two processes that run one turn each, for a second."""
    knobs: Knobs = {"strategy__max_running": 1, "agent__turn_timeout_s": 1, "store__lease_s": 2}
    with Cluster(tmp_path, url, count=2, **knobs) as cluster:
        yield cluster


def test_an_agent_that_ignores_its_end_gives_up_its_slot_and_keeps_its_conversation(
    narrow: Cluster, url: str
) -> None:
    """In all processes, and for longer than a lease."""
    ignores = narrow[0].ask("ignore 6", "fenced")
    runs = narrow.until_called("ignore 6")
    (other,) = narrow.others(runs)
    assert other.until_ended(ignores)["state"] == "expired"
    behind = other.ask("say behind", "fenced")
    for number in range(8):
        assert narrow[number % 2].chat(f"say {number}", f"free{number}").status == 200
    assert other.turn(behind)["state"] == "waiting"
    assert other.request("DELETE", "/conversations/fenced").status == 409
    assert not [call for call in narrow.calls() if call.startswith("ended ignore")]
    assert other.until_ended(behind)["turn"] == 1
    ended, began = (
        next(n for n, call in enumerate(narrow.calls()) if call.startswith(start))
        for start in ("ended ignore", "began say behind")
    )
    assert ended < began, "the fence has held until the agent stopped"
    findings.until_nothing_is_left(url)


def test_agents_that_hang_in_each_slot_of_each_process_cost_others_their_timeout(
    narrow: Cluster, url: str
) -> None:
    turns = [narrow[number % 2].ask("hang", f"hung{number}") for number in range(4)]
    for server in narrow.servers:
        assert server.chat("say", "other").status == 200
    for turn_id in turns:
        assert narrow[0].until_ended(turn_id)["state"] == "expired"
    findings.until_nothing_is_left(url)
    findings.check_counters(narrow)


def test_one_callers_flood_over_all_processes_costs_another_a_turn(
    tmp_path: Path, url: str
) -> None:
    """I-29: its one turn is served among the first, though a hundred were there before it."""
    knobs: Knobs = {
        "server__tokens": ["ann:a-token", "bob:b-token"], "strategy__max_running": 1,
        "strategy__max_waiting": 400,
    }  # fmt: skip
    with Cluster(tmp_path, url, count=2, **knobs) as cluster:
        flood = [Caller(server, "a-token") for server in cluster.servers]
        bob = Caller(cluster[1], "b-token")
        for number in range(2):
            flood[number].chat("until let", f"held{number}", prefer="respond-async")
        for number in range(100):
            flood[number % 2].chat(f"say {number}", f"c{number % 10}", prefer="respond-async")
        until(lambda: waiting(url) == 100, "all of them wait")
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(bob.chat, "say bob", "c")
            until(lambda: waiting(url) == 101, "it waits behind them")
            cluster.let_on("let")
            assert asked.result().status == 200
        began = [call for call in cluster.calls() if call.startswith("began say")]
        place = next(n for n, call in enumerate(began, 1) if call.startswith("began say bob"))
        assert place <= 1 + 2, "at most one more in each process came before it"
        findings.until_nothing_is_left(url)


def waiting(url: str) -> int:
    ((count,),) = execute(url, "SELECT count(*) FROM turnline_line WHERE runner IS NULL")
    return int(count)
