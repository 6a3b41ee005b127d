"""What each of several processes tells of all of them: I-9 holds for one, these for the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.cluster import Cluster
from tests.support.client import until
from tests.support.figures import figures
from tests.support.look import Look
from tests.support.postgres import drop_schema, new_schema
from tests.support.server import ROOT, Server

WAITING = 3


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two processes: the first has accepted a turn that runs and three that wait."""
    url = new_schema()
    with Cluster(tmp_path_factory.mktemp("system"), url, count=2) as made:
        made[0].ask("until on", "busy")
        made.until_called("until on")
        for number in range(WAITING):
            made[0].ask(f"turn {number}", "busy")
        yield made
        made.let_on("on")
    drop_schema(url)


def system_of(server: Server, **wanted: object) -> dict[str, Any]:
    """What its health says of all processes, once that is so."""

    def is_so() -> bool:
        system = server.health()["system"]
        return system is not None and wanted.items() <= system.items()

    until(is_so, f"the system has {wanted}")
    shown: dict[str, Any] = server.health()["system"]
    return shown


def test_each_process_tells_the_turns_of_all(cluster: Cluster) -> None:
    for server in cluster.servers:
        system = system_of(server, waiting=WAITING, running=1)
        assert system["oldest_wait_s"] > 0
        assert sum(one["running"] for one in system["processes"]) == 1


def test_each_process_tells_which_it_is_and_who_runs_what(cluster: Cluster) -> None:
    runs = cluster.until_called("until on")
    for server in cluster.servers:
        system = system_of(server, running=1)
        named = {one["id"]: one for one in system["processes"]}
        assert len(named) == len(cluster.servers)
        assert named[system["process_id"]]["running"] == int(server is runs)
        assert all(one["slots"] > 0 and one["seen_s_ago"] >= 0 for one in named.values())


def test_what_a_process_counts_as_its_own_it_has_accepted(cluster: Cluster) -> None:
    accepted, other = cluster.servers
    assert accepted.health()["queue_depth"] == WAITING
    assert other.health()["queue_depth"] == 0


def test_metrics_agree_with_what_health_says_of_the_system(cluster: Cluster) -> None:
    for server in cluster.servers:
        system_of(server, waiting=WAITING, running=1)
        shown = figures(server)
        assert shown["turnline_system_turns_waiting"] == WAITING
        assert shown["turnline_system_turns_running"] == 1
        assert shown["turnline_system_processes"] == len(cluster.servers)
        assert shown["turnline_system_oldest_wait_seconds"] > 0


def test_the_docs_name_each_metric_of_the_system(cluster: Cluster) -> None:
    documented = re.findall(
        r"^\| `(turnline_system_\w+)` ", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE
    )
    shown = [name for name in figures(cluster[0]) if name.startswith("turnline_system_")]
    assert sorted(documented) == sorted(shown)


def test_a_process_lists_conversations_that_are_busy_in_another(cluster: Cluster) -> None:
    busy = {"conversation_id": "busy", "turns": 0, "waiting": WAITING, "running": 1}
    for server in cluster.servers:
        assert server.request("GET", "/conversations").json["conversations"] == [busy]


def test_a_process_shows_who_runs_and_who_waits_in_a_line_of_another(cluster: Cluster) -> None:
    one, other = (line_of(server) for server in cluster.servers)
    assert one == other


def line_of(server: Server) -> list[str]:
    """The turn that runs, and those that wait, once their places are known."""

    def shown() -> Any:
        return server.request("GET", "/conversations/busy").json

    places = [*range(1, WAITING + 1)]
    until(lambda: [one["position"] for one in shown()["waiting"]] == places, "they have places")
    return [one["turn_id"] for one in (shown()["running"], *shown()["waiting"])]


def test_who_looks_at_one_process_is_shown_the_load_of_all(cluster: Cluster) -> None:
    for server in cluster.servers:
        with Look(server.port) as look:
            look.until_seen(shows_the_whole)
            assert look.seen["system"]["processes"] == len(cluster.servers)


def shows_the_whole(look: Look) -> bool:
    system = look.seen["system"]
    return system is not None and bool(system["waiting"] == WAITING)


def test_who_looks_is_shown_each_turn_that_runs_here_though_another_process_accepted_it(
    tmp_path: Path, url: str
) -> None:
    with Cluster(tmp_path, url, count=2, strategy__max_running=1) as cluster:
        for number in range(2):
            cluster[0].ask(f"until held-{number}", f"held-{number}")
        places = [cluster.until_called(f"until held-{number}") for number in range(2)]
        cluster.let_on(f"held-{places.index(cluster[1])}")
        with Look(cluster[1].port) as look:
            turns = [cluster[0].ask(f"until {one}", "c") for one in ("first", "second")]
            for name, turn_id in zip(("first", "second"), turns, strict=True):
                look.until_seen(lambda one: turn_id in [turn["id"] for turn in one.turns("c")])  # noqa: B023
                cluster.let_on(name)
            look.until_seen(lambda one: not one.turns("c"))
        cluster.let_on(f"held-{places.index(cluster[0])}")


def test_a_process_that_comes_and_goes_is_counted_by_the_others(
    cluster: Cluster, tmp_path: Path
) -> None:
    count = len(cluster.servers)
    with Cluster(tmp_path, str(cluster[0].knobs["store__url"]), count=1) as more:
        third = more[0]
        for server in (*cluster.servers, third):
            until_processes(server, count + 1)
        third.stop()
    for server in cluster.servers:
        until_processes(server, count)


def until_processes(server: Server, count: int) -> None:
    until(lambda: len(system_of(server)["processes"]) == count, f"{count} processes are counted")


def test_where_one_process_serves_nothing_is_said_of_a_system(tmp_path: Path) -> None:
    with Server(tmp_path, store__url="memory:") as server:
        assert "system" not in server.health()
        assert not [name for name in figures(server) if "system" in name]
        assert "system" not in server.request("GET", "/view").json
