"""A server whose store is in Postgres, which goes away and comes back: I-18, I-31."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import until
from tests.support.postgres_proxy import PostgresProxy
from tests.support.server import Server
from tests.support.stores import new_url


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[PostgresProxy]:
    with new_url("postgres", tmp_path) as url, PostgresProxy(url) as made:
        yield made


def ready(server: Server) -> int:
    return server.request("GET", "/health/ready").status


def test_while_the_store_is_away_the_server_is_not_ready_and_lives(
    proxy: PostgresProxy, tmp_path: Path
) -> None:
    with Server(tmp_path, store__url=proxy.url) as server:
        assert server.chat("one", "c").json["turn"] == 1
        assert ready(server) == 200
        proxy.go_away()
        refused = server.chat("two", "c")
        assert refused.status == 503
        assert refused.json["type"].endswith("store-unavailable")
        assert refused.json["outcome"] in ("not_started", "rolled_back")
        until(lambda: ready(server) == 503, "the server is not ready")
        assert server.request("GET", "/health/live").status == 200
        proxy.come_back()
        until(lambda: ready(server) == 200, "the server is ready")
        assert server.chat("two", "c").json["turn"] == 2
        assert [said["content"] for said in server.history("c")[::2]] == ["one", "two"]


def test_turns_that_were_promised_run_after_a_kill(proxy: PostgresProxy, tmp_path: Path) -> None:
    with Server(tmp_path, store__url=proxy.url, store__lease_s=2) as server:
        turn_id = server.ask("hang-at-first")
        server.until_called("hang-at-first")
        server.kill()
        server.start()
        assert server.until_ended(turn_id)["state"] == "answered"


def test_it_ends_in_order_though_the_store_is_away(proxy: PostgresProxy, tmp_path: Path) -> None:
    with Server(tmp_path, store__url=proxy.url, server__drain_s=1) as server:
        server.ask("until never")
        server.until_called("until never")
        proxy.go_away()
        until(lambda: ready(server) == 503, "it is known")
        assert server.stop() == 0
        assert "left behind" not in server.log
