"""Two runners on one Postgres behind the shipped proxies, as compose.postgres.yaml has them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.proxies import Kind, Proxy, caddy_before_many, nginx
from tests.deploy.shipped import needs
from tests.engine.cluster import Cluster
from tests.support.client import Answer, request, until
from tests.support.events import Stream, text_of
from tests.support.postgres import drop_schema, new_schema


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    url = new_schema()
    with Cluster(tmp_path_factory.mktemp("runners"), url, 2) as two:
        yield two
    drop_schema(url)


@pytest.fixture(
    params=[
        pytest.param(nginx, marks=needs("nginx")),
        pytest.param(caddy_before_many, marks=needs("caddy")),
    ]
)
def proxy(request: pytest.FixtureRequest, runners: Cluster, tmp_path: Path) -> Iterator[Proxy]:
    kind: Kind = request.param
    with kind(tmp_path, [runner.port for runner in runners.servers]) as running:
        yield running


@pytest.fixture(params=[0, 1], ids=["first", "second"])
def place(request: pytest.FixtureRequest, runners: Cluster) -> Iterator[int]:
    """Of the runner that a test ends; then it is there again."""
    yield request.param
    runners[request.param].start()


def say(proxy: Proxy, message: str) -> Answer:
    return request(proxy.port, "POST", "/chat", {"message": message, "conversation_id": "new"})


def test_where_one_is_killed_new_turns_are_answered_by_the_other(
    runners: Cluster, proxy: Proxy
) -> None:
    runners[0].kill()

    def all_are_answered() -> bool:
        return all(say(proxy, "after the kill").status == 200 for _ in range(6))

    until(all_are_answered, "nothing is sent to the one that is gone")
    runners[0].start()


def test_where_one_drains_what_runs_ends_and_new_turns_are_answered(
    runners: Cluster, proxy: Proxy, place: int, tmp_path: Path
) -> None:
    with Stream(proxy.port, f"until {tmp_path}/told", tmp_path.name) as stream:
        stream.until("delta")
        runners[place].signal(signal.SIGTERM)
        until(lambda: say(proxy, "new").status == 200, "a new turn is answered")
        (tmp_path / "told").touch()
        assert text_of(stream.rest()) == " done"
    assert runners[place].wait() == 0
