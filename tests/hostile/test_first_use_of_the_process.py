"""What a new user met: silence, tracebacks, and ends that were none."""

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import PATIENCE_S, chat, receive, request, send, until
from tests.support.server import ROOT, Server

# 21. Silence and words.


def test_the_first_ctrl_c_says_what_is_waited_for_and_that_a_second_one_stops_at_once(
    http: str, tmp_path: Path
) -> None:
    terminal, theirs = pty.openpty()
    target = ("tests.support.agents:echo", "--set", "server.drain_s=600")
    with serving(tmp_path, *target, stderr=theirs) as process, open(terminal, "rb") as shown:
        port = port_of(process)
        with send(port, chat("hang")) as connection:
            until(lambda: runs(port), "the turn runs")
            process.send_signal(signal.SIGINT)
            assert b"1 running turn" in (line := line_with(shown, b"Ctrl-C"))
            assert b"Ctrl-C again stops at once" in line
            process.send_signal(signal.SIGINT)
            assert receive(connection).status == 503
        assert process.wait(PATIENCE_S) == 0
    os.close(theirs)


def test_a_port_in_use_names_the_flag(folder: Path) -> None:
    with Server(folder) as first:
        second = Server(folder, store__url="memory:")
        second.port = first.port
        status, said = second.fail()
    assert status == 1
    assert "--port N" in said
    assert "Errno" not in said


def test_reload_shows_the_banner_once(tmp_path: Path) -> None:
    with serving(tmp_path, "--reload") as process:
        assert process.stdout is not None
        line_with(process.stdout, b"Try it")
        (tmp_path / "changed.py").touch()
        line_with(process.stdout, b"runner serves")
        process.terminate()
        assert process.stdout.read() == b""
        assert process.wait(PATIENCE_S) == 0


# 22. Limits and signals.


def test_too_few_open_files_are_told_and_nothing_is_served(tmp_path: Path) -> None:
    status, said = fails(tmp_path, "ulimit -n 64")
    assert status == 1
    assert "64 files open" in said
    assert "ulimit -n 16448" in said


def test_a_limit_that_lowers_max_connections_is_told(tmp_path: Path) -> None:
    limited = ["sh", "-c", 'ulimit -n 200; exec "$0" "$@"']
    with serving(tmp_path, before=limited) as process:
        assert b"to=136" in line_with(process.stderr, b"max_connections is lowered")


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 17_000, reason="this machine allows fewer"
)
def test_where_the_limit_is_enough_nothing_is_said_of_it(tmp_path: Path) -> None:
    with serving(tmp_path) as process:
        port_of(process)
        process.terminate()
        assert b"max_connections" not in process.communicate(timeout=PATIENCE_S)[1]


def test_the_end_of_its_terminal_drains_the_server(folder: Path) -> None:
    with handling(signal.SIGHUP, signal.SIG_DFL), Server(folder, server__drain_s=600) as server:
        with send(server.port, chat("until told")) as running:
            server.until_called("until told")
            server.signal(signal.SIGHUP)
            until(lambda: server.request("GET", "/health/ready").status == 503, "it drains")
            server.let_on("told")
            assert receive(running).status == 200
        assert server.wait() == 0


def test_under_nohup_the_end_of_the_terminal_is_not_the_end(folder: Path) -> None:
    with handling(signal.SIGHUP, signal.SIG_IGN), Server(folder) as server:
        server.signal(signal.SIGHUP)
        assert server.chat("still there").status == 200
        assert server.request("GET", "/health/ready").status == 200
        assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [(), ("--reload",)], ids=["plain", "reload"])
def test_a_signal_before_there_is_a_server_ends_with_status_0(
    tmp_path: Path, arguments: tuple[str, ...], number: signal.Signals
) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    with handling(signal.SIGHUP, signal.SIG_DFL):
        with serving(tmp_path, "slow:agent", *arguments) as process:
            until(lambda: catches(process.pid, signal.SIGHUP), "the last of the signals is taken")
            process.send_signal(number)
            assert process.communicate(timeout=PATIENCE_S) == (b"", b"")
            assert process.returncode == 0


def test_a_signal_ends_a_start_that_hangs_in_c(tmp_path: Path) -> None:
    """As one that loads a model: the main thread runs no Python meanwhile."""
    (tmp_path / "slow.py").write_text(STUCK_IN_C)
    with serving(tmp_path, "slow:agent") as process:
        line_with(process.stdout, b"loads")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


STUCK_IN_C = """
import ctypes
print("loads", flush=True)
lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64)
lock(mutex)
lock(mutex)
"""


@contextmanager
def handling(number: signal.Signals, handler: signal.Handlers) -> Generator[None]:
    """What processes that are started meanwhile inherit."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def serving(
    folder: Path, *arguments: str, before: list[str] | None = None, stderr: int = subprocess.PIPE
) -> Generator[subprocess.Popen[bytes]]:
    """A server that was started, and is perhaps not there yet."""
    command = [*(before or []), sys.executable, "-m", "runner", "serve", *arguments]
    command += ["--port", "0", "--store", "memory:"]
    command += ["--set", f"server.http={Server.http.removeprefix('pure-')}"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=stderr,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def fails(folder: Path, limit: str) -> tuple[int, str]:
    """Exit status of a start under this limit, and what was said."""
    with serving(folder, before=["sh", "-c", f'{limit}; exec "$0" "$@"']) as process:
        said = b"".join(process.communicate(timeout=PATIENCE_S))
        return process.returncode, said.decode()


def line_with(stream: Any, word: bytes) -> bytes:
    """The next line with this word."""
    for line in stream:
        if word in line:
            return bytes(line)
    raise AssertionError(f"ended without {word!r}")


def port_of(process: subprocess.Popen[bytes]) -> int:
    return int(line_with(process.stdout, b"runner serves").rpartition(b":")[2])


def runs(port: int) -> bool:
    """Whether a turn of the default conversation runs."""
    return bool(request(port, "GET", "/conversations/default").json.get("running"))


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)
