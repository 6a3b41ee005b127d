"""`runner chat` in a terminal, against a real server."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.support import client
from tests.support.events import Stream
from tests.support.proxy import CuttingProxy
from tests.support.server import ROOT, Server

TELLER = "tests.support.agents:teller"
Run = Callable[..., tuple[int, str, str]]


class Terminal:
    """`runner chat` in a pseudo-terminal. Use it with `with`."""

    def __init__(self, port: int, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        command = [sys.executable, "-m", "runner", "chat", "--url", f"http://127.0.0.1:{port}"]
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
            start_new_session=True,
            # A shell that starts the tests in the background has them ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(slave)
        self.text = ""
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        self.until("> ")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait(client.LIMIT_S)
        os.close(self._master)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, text: str) -> None:
        client.until(lambda: text in self.text, f"the terminal shows {text!r}")

    def _read(self) -> None:
        while True:
            try:
                self.text += os.read(self._master, 65536).decode()
            except OSError:
                return


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("chat"), target=TELLER) as running:
        yield running


def test_it_shows_the_place_in_the_line_and_then_the_words_as_they_come(server: Server) -> None:
    server.chat("1 0.2", "warm")
    server.ask("1 0 until first", "shown")
    server.ask("1 0 until second", "shown")
    with Terminal(server.port, "--conversation", "shown") as terminal:
        terminal.type("2 0.3\n")
        terminal.until("2nd in line, about ")
        server.let_on("first")
        terminal.until("1st in line, about ")
        server.let_on("second")
        terminal.until("piece 0, ")
        terminal.until("piece 0, piece 1, \r\n> ")


@pytest.mark.slow
def test_the_expected_wait_counts_down_while_one_waits(server: Server) -> None:
    server.chat("1 3", "slower")
    server.ask("1 0 until third", "counted")
    with Terminal(server.port, "--conversation", "counted") as terminal:
        terminal.type("1 0\n")
        client.until(
            lambda: len(set(re.findall(r"about \d+ s", terminal.text))) > 1, "it counts down"
        )
        server.let_on("third")
        terminal.until("piece 0, \r\n> ")


def test_control_c_cancels_the_turn_and_one_can_go_on(server: Server) -> None:
    with Terminal(server.port, "--conversation", "stopped") as terminal:
        terminal.type("1 0 hang\n")
        terminal.until("piece 0, ")
        terminal.process.send_signal(signal.SIGINT)
        terminal.until("cancelled")
        server.until_quiet()
        terminal.type("1 0\n")
        terminal.until("piece 0, \r\n> ")
    assert len(server.history("stopped")) == 2


def test_after_lost_connections_it_goes_on_where_it_was_and_asks_once(
    run: Run, server: Server
) -> None:
    with CuttingProxy(server.port, cuts=[100, 0, 400, 700]) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        status, out, err = run("chat", "--url", url, "--conversation", "cut", text="20 0.02\n")
        assert status == 0
        assert set(err.splitlines()) == {"the connection was lost; trying again for 60 s"}
        assert out == "".join(f"piece {number}, " for number in range(20)) + "\n"
        assert proxy.connections >= 4
    assert len(server.history("cut")) == 2


def test_after_a_kill_of_the_server_the_turn_is_begun_again_and_said_so(
    run: Run, folder: Path
) -> None:
    with Server(folder, target=TELLER, store__url="sqlite:///x.db") as server:
        message = "10 0 hang-at-first"
        results: list[tuple[int, str, str]] = []
        url = f"http://127.0.0.1:{server.port}"
        chatting = threading.Thread(
            target=lambda: results.append(run("chat", "--url", url, text=f"{message}\n"))
        )
        chatting.start()
        server.until_called(message)
        with Stream(server.port, turn=server.turn_of("default")["turn_id"]) as said:
            said.until("delta")
        server.kill()
        server.start()
        chatting.join()
        whole = "".join(f"piece {number}, " for number in range(10))
        status, out, err = results[0]
        assert (status, out.splitlines()[-1]) == (0, whole)
        assert "attempt 2" in err
