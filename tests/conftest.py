"""A real server for tests that need no other than the default, and a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.server import Server

QUICK = ("disconnects", "held_connections", "slow_clients")
"""What each library does by itself: these run over both in the fast tests too."""

SOCKETS = (
    *QUICK, "ended_loop", "input", "kill", "outage_and_memory", "shutdown", "unread_answers",
)  # fmt: skip
"""Where it matters too with what uvicorn parses and which loop it has."""

OVER_BOTH = ("tests.process.", "tests.turns.", "tests.app.", "tests.hostile.", "tests.web.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the rooms in OVER_BOTH over Hypercorn and, mostly in the slow tests, over uvicorn."""
    module = metafunc.module.__name__
    if "http" in metafunc.fixturenames and module.startswith(OVER_BOTH):
        name, slow = module.rpartition(".test_")[2], pytest.mark.slow
        libraries = [pytest.param("hypercorn")]
        libraries += [pytest.param("uvicorn", marks=() if name in QUICK else slow)]
        libraries += [pytest.param("pure-uvicorn", marks=slow)] if name in SOCKETS else []
        metafunc.parametrize("http", libraries, indirect=True, scope="module")


@pytest.fixture(scope="module")
def http(request: pytest.FixtureRequest) -> Iterator[str]:
    """What carries HTTP in the servers that are started; ask for it where one is."""
    before, Server.http = Server.http, getattr(request, "param", Server.http)
    yield Server.http
    Server.http = before


@pytest.fixture(scope="module")
def server(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the defaults, shared by the tests of a module."""
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def folder(http: str, tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def ann(server: Server) -> Caller:
    """Of a server whose tokens are `ann:a-token` and `bob:b-token`."""
    return Caller(server, "a-token")


@pytest.fixture
def bob(server: Server) -> Caller:
    return Caller(server, "b-token")
