"""Postgres goes away and comes back under several processes: I-8, I-18, I-31."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.cluster import Cluster
from tests.support.client import Answer, until
from tests.support.figures import figures
from tests.support.postgres_proxy import PostgresProxy
from tests.support.server import Server


@pytest.fixture
def proxy(url: str) -> Iterator[PostgresProxy]:
    with PostgresProxy(url) as made:
        yield made


def is_ready(server: Server) -> bool:
    return server.request("GET", "/health/ready").status == 200


def until_away(cluster: Cluster, proxy: PostgresProxy) -> None:
    proxy.go_away()
    for server in cluster.servers:
        until(lambda server=server: not is_ready(server), "it is not ready")  # type: ignore[misc]


def until_back(cluster: Cluster, proxy: PostgresProxy) -> None:
    proxy.come_back()
    for server in cluster.servers:
        until(lambda server=server: is_ready(server), "it is ready")  # type: ignore[misc]


def test_an_outage_loses_no_turn_that_was_promised_and_promises_none(
    proxy: PostgresProxy, tmp_path: Path
) -> None:
    """Nobody restarts anything. Those that were refused were never run."""
    with Cluster(tmp_path, proxy.url, count=2, store__lease_s=60) as cluster:
        promised = [cluster[0].ask("until on", "c")]
        cluster.until_called("until on")
        promised += [cluster[number % 2].ask(f"turn {number}", "c") for number in range(4)]
        until_away(cluster, proxy)
        refused = [cluster[0].chat("never", "c", prefer="respond-async")]
        refused += [cluster[1].chat("never", "other")]
        assert [told(one) for one in refused] == [(503, "store-unavailable", True)] * 2
        cluster.let_on("on")  # Its agent ends while the reply cannot be kept.
        until(lambda: "ended until on" in "".join(cluster.calls()), "the agent ends")
        until_back(cluster, proxy)
        ended = [cluster[1].until_ended(turn_id) for turn_id in promised]
        assert [turn["state"] for turn in ended] == ["answered"] * 5
        assert [turn["turn"] for turn in ended] == [1, 2, 3, 4, 5]
        assert {turn["attempt"] for turn in ended} == {1}
        assert not [call for call in cluster.calls() if "never" in call]
        assert cluster[0].chat("after", "other").json["turn"] == 1


def told(answer: Answer) -> tuple[int, str, bool]:
    """Whether it was said, truly, that nothing has happened."""
    said_so = answer.json["outcome"] in ("not_started", "rolled_back")
    return answer.status, answer.cause, said_so


def test_while_postgres_is_away_a_process_lives_and_says_that_it_does_not_know_the_others(
    proxy: PostgresProxy, tmp_path: Path
) -> None:
    with Cluster(tmp_path, proxy.url, count=1, store__lease_s=60) as cluster:
        server = cluster[0]
        until_away(cluster, proxy)
        assert server.request("GET", "/health/live").status == 200
        assert server.health()["system"] is None
        assert not [name for name in figures(server) if "system" in name]
        assert server.request("GET", "/view").json["system"] is None
        until_back(cluster, proxy)
        until(lambda: server.health()["system"] is not None, "the system is known again")
        assert [one["slots"] for one in server.health()["system"]["processes"]] != []
