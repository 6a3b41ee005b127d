"""Servers that need not import everything again: nine tenths of a start is importing.

A `Template` is a process that has done so; each server is a fork of it, with an interpreter in
the state of a new one. Where that could matter a server is started as users start it: other
packages in the path, a module in its folder with the name of one that is imported, another
environment, ignored signals or limits to inherit, or `TURNLINE_TEST_FORKS=0`.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar

OURS = ("RUNNER_", "TURNLINE_", "PYTEST_", "OTEL_")
"""What may be different in a server's environment: read when it is used, not when imported."""


CAN_FORK = sys.platform == "linux" and os.environ.get("TURNLINE_TEST_FORKS") != "0"


class Forked:
    """A server; as a `subprocess.Popen`, as far as tests need one."""

    def __init__(self, pid: int, stdout: IO[str], stderr: IO[str], told: int) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self._told = told
        self._status: int | None = None
        self._once = threading.Lock()

    def poll(self) -> int | None:
        with self._once:
            return self._look(0)

    def wait(self, timeout: float) -> int:
        with self._once:
            status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"the server {self.pid}", timeout)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # It has just ended, and its status is on its way.
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float) -> int | None:
        if self._status is None:
            poll = select.poll()
            poll.register(self._told, select.POLLIN)
            if poll.poll(1000 * timeout_s):
                # Nothing is told if the template has ended.
                self._status = int(os.read(self._told, 16) or -signal.SIGKILL)
                os.close(self._told)
        return self._status


class Template:
    """The process that servers over one HTTP library, with one path of packages, are forks of."""

    _known: ClassVar[dict[tuple[str, str], Template]] = {}

    def __init__(self, http: str, path: str) -> None:
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        environment.pop("RUNNER_TEST_POSTGRES", None)  # It is for the tests, and no setting.
        self._inherited = _inherited(environment)
        self._asking, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.template", http],
                cwd=Path(__file__).parents[2],
                env=environment,
                stdin=other.fileno(),
                # Pipes, as a server's are: at its start Python looks whether they can be sought.
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        # Nothing is said where an import fails; it fails in a new process too, which tells why.
        self._imported = frozenset(json.loads(self._asking.recv(2**18) or b"[]"))
        atexit.register(self.end)

    @classmethod
    def of(cls, http: str, path: str) -> Template:
        if (http, path) not in cls._known:
            cls._known[http, path] = cls(http, path)
        return cls._known[http, path]

    def can_make(self, folder: Path, environment: Mapping[str, str]) -> bool:
        """Whether the server would be the one that `python -m runner` in this folder starts."""
        if not self._imported:
            return False
        own = {entry.stem for entry in folder.iterdir() if entry.suffix == ".py" or entry.is_dir()}
        return own.isdisjoint(self._imported) and _inherited(environment) == self._inherited

    def make(
        self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> Forked:
        asked = {"folder": str(folder), "arguments": arguments, "environment": dict(environment)}
        pipes = [os.pipe() for _ in range(3)]
        theirs = [write for _, write in pipes]
        with self._lock:
            socket.send_fds(self._asking, [json.dumps(asked).encode()], theirs)
            pid = int(self._asking.recv(16))
        for write in theirs:
            os.close(write)
        out, log, told = (read for read, _ in pipes)
        return Forked(pid, os.fdopen(out), os.fdopen(log), told)

    def end(self) -> None:
        self._asking.close()
        self._process.communicate(timeout=10.0)


def _inherited(environment: Mapping[str, str]) -> tuple[object, ...]:
    """What a process takes over as it starts: its environment, ignored signals, and limits."""
    others = {name: value for name, value in environment.items() if not name.startswith(OURS)}
    ignored = {one for one in signal.valid_signals() if signal.getsignal(one) == signal.SIG_IGN}
    kinds = resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_FSIZE
    return others, ignored, *(resource.getrlimit(kind) for kind in kinds)
