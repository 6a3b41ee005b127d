"""A process that has imported what a server imports, and becomes one for each that asks.

`python -m tests.support.template HTTP`, with a socket as its stdin; see `tests/support/forked.py`.
Whoever asks sends where to run, with what arguments and environment, and three descriptors: for
the server's output and its log, and one on which its exit status is told. It is answered the
server's process id.

This process has one thread, no handler for a signal and no event loop, so that a child starts
as a new interpreter would.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import socket
import sys
from importlib import import_module

from runner import doors

IMPORTED = (
    "runner.agents.loader", "runner.app", "runner.cli.banner", "runner.cli.compose",
    "runner.cli.own_code", "runner.config.effects", "runner.server.server", "runner.store.memory",
    "runner.store.sqlite", "runner.telemetry.log", "runner.turns.service",
    *(f"runner.doors.{name}" for name in doors.NAMES),
)  # fmt: skip
"""And what these import. Not `runner.__main__`, which is run."""

MOST_BYTES = 2**18
"""Of what is asked; an environment is a few kilobytes."""


def main(http: str) -> None:
    del sys.path[0]  # The current folder, which is not that of a server.
    for module in (*IMPORTED, f"runner.server.{http}"):
        import_module(module)
    asking = socket.socket(fileno=os.dup(0))
    asking.sendall(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})).encode())
    asked = _serve(asking)
    if asked is not None:
        _become(json.loads(asked))


def _serve(asking: socket.socket) -> bytes | None:
    """In the child, what was asked for it; in this process None, at the end of the tests."""
    running: dict[int, tuple[int, int]] = {}  # By its descriptor: process id, where to tell status.
    poll = select.poll()
    poll.register(asking, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor in running:
                poll.unregister(descriptor)
                _tell_status(descriptor, *running.pop(descriptor))
                continue
            asked, (out, log, told), _, _ = _receive(asking)
            if not asked:
                return None
            pid = os.fork()
            if pid == 0:
                os.dup2(out, 1)
                os.dup2(log, 2)
                asking.close()
                return asked
            os.close(out)
            os.close(log)
            process = os.pidfd_open(pid)
            running[process] = pid, told
            poll.register(process, select.POLLIN)
            asking.sendall(str(pid).encode())


def _receive(asking: socket.socket) -> tuple[bytes, tuple[int, int, int], int, object]:
    asked, descriptors, flags, address = socket.recv_fds(asking, MOST_BYTES, 3)
    out, log, told = descriptors if asked else (-1, -1, -1)
    return asked, (out, log, told), flags, address


def _tell_status(process: int, pid: int, told: int) -> None:
    _, status = os.waitpid(pid, 0)
    os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(told)
    os.close(process)


def _become(asked: dict[str, object]) -> None:
    """A server, as `python -m runner ...` in that folder is one."""
    os.setsid()
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    folder, arguments, environment = asked["folder"], asked["arguments"], asked["environment"]
    assert isinstance(folder, str)
    assert isinstance(arguments, list)
    assert isinstance(environment, dict)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, os.getcwd())
    sys.argv[:] = ["runner", *arguments]
    runpy.run_module("runner", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1])
