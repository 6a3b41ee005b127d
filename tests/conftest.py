"""A real server for tests that need no other than the default, and a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.server import Server

SOCKETS = (
    "disconnects", "ended_loop", "held_connections", "input", "kill", "outage_and_memory",
    "shutdown", "slow_clients", "unread_answers",
)  # fmt: skip
"""Where it matters too with what uvicorn parses and which loop it has."""

SLOW = (
    "tests/client/", "tests/deploy/", "tests/engine/", "tests/hostile/", "tests/process/",
    "tests/webhooks/", "tests/app/test_replies.py", "tests/cli/test_archive_live.py",
    "tests/cli/test_chat_live.py", "tests/cli/test_log_lines.py", "tests/cli/test_reload.py",
    "tests/evidence/test_second_simulator.py",
    "tests/loadtests/test_attempts.py", "tests/loadtests/test_controls.py",
    "tests/loadtests/test_histories.py", "tests/loadtests/test_matrix.py",
    "tests/loadtests/test_probe.py", "tests/loadtests/test_report.py",
    "tests/loadtests/test_simulate.py", "tests/loadtests/test_workloads.py",
    "tests/strategies/test_explorer.py",
    "tests/turns/test_agent_state.py", "tests/turns/test_background.py",
    "tests/turns/test_busy.py", "tests/turns/test_kills.py", "tests/turns/test_requests.py",
    "tests/turns/test_restarts.py",
    "tests/web/test_view.py",
)  # fmt: skip
"""Rooms and modules that start, kill or flood servers, or simulate many: all of it is slow, so
that the fast tests are what a developer waits for."""

LONG = (
    "tests/turns/test_kills.py",
    "tests/turns/test_streams.py::test_no_limit_of_the_framework_cuts_a_long_stream",
    "tests/loadtests/test_matrix.py::test_lock_and_reject_clearly_serve_more",
    "tests/strategies/test_explorer.py::test_no_schedule_of_very_many",
    "tests/turns/test_restarts.py::test_every_promised_turn",
    "tests/process/test_kill.py",
    "tests/web/test_stuck_readers.py",
)
"""What takes a good part of a minute or more, the longest first. Not the soaks: they compare times,
and two would begin together."""

OVER_BOTH = ("tests.process.", "tests.turns.", "tests.app.", "tests.hostile.", "tests.web.")


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.nodeid.startswith(SLOW):
        item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)  # After those that are not chosen have gone.
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the long ones, one in each process: one that began last would be waited for.

    Each process is given so many in a row first (`--dist worksteal`), and later takes from others.
    """
    count = int(getattr(config, "workerinput", {}).get("workercount", 1))
    long = sorted((one for one in items if one.nodeid.startswith(LONG)), key=_place_among_long)
    others = [one for one in items if not one.nodeid.startswith(LONG)]
    items[:] = dealt(long, others, count)


def _place_among_long(item: pytest.Item) -> int:
    return next(place for place, name in enumerate(LONG) if item.nodeid.startswith(name))


def dealt(
    long: Sequence[pytest.Item], others: Sequence[pytest.Item], count: int
) -> list[pytest.Item]:
    """Everything in `count` equal parts, with its share of the long ones before each."""
    size, rest = divmod(len(long) + len(others), count)
    order, taken = list[pytest.Item](), 0
    for part in range(count):
        mine = long[part::count]
        room = max(size + (part >= count - rest) - len(mine), 0)
        order += [*mine, *others[taken : taken + room]]
        taken += room
    return [*order, *others[taken:]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the rooms in OVER_BOTH over Hypercorn and, in the slow tests, over uvicorn."""
    module = metafunc.module.__name__
    if "http" in metafunc.fixturenames and module.startswith(OVER_BOTH):
        name, slow = module.rpartition(".test_")[2], pytest.mark.slow
        libraries = [pytest.param("hypercorn")]
        libraries += [pytest.param("uvicorn", marks=slow)]
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
