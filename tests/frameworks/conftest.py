"""The server of a framework's example; and what a run has found, for docs/frameworks.md.

Only frameworks that are installed are tested. `make test-frameworks` has environments in which
they are (see `environments`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from runner.agents.frameworks import NAMES, frameworks
from tests.frameworks.examples import EXAMPLES
from tests.frameworks.scenarios import Scenarios
from tests.frameworks.table import Findings
from tests.support.server import Server

FOUND = os.environ.get("TURNLINE_TEST_FOUND")
"""The file into which a run writes what it has found."""

findings = Findings()


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


collect_ignore_glob = [
    f"test_{name}{rest}.py"
    for name, framework in zip(NAMES, frameworks(), strict=True)
    if not _is_installed(framework.package)
    for rest in ("", "_*")
]


@pytest.fixture(scope="class")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The example's server, killed in a slow turn and started again on its store."""
    scenarios: type[Scenarios] = request.cls
    store = tmp_path_factory.mktemp(scenarios.example) / "turns.db"
    folder = EXAMPLES / "frameworks" / scenarios.example
    with Server(folder, "--store", f"sqlite:///{store}", target=scenarios.target) as server:
        for kind in scenarios.__mro__:
            for conversation, message in vars(kind).get("earlier", ()):
                server.chat(message, conversation)
        with scenarios().slow(server, "killed"):
            server.signal(signal.SIGKILL)
            server.wait()
        yield server.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and issubclass(item.cls or object, Scenarios):
            item.user_properties += findings.place(item.cls, item.function.__name__)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    findings.add(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if FOUND and not hasattr(session.config, "workerinput"):
        findings.write(Path(FOUND))
