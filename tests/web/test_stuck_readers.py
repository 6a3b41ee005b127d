"""Who asks for `GET /view` and then takes nothing, over a real socket whose buffers are full."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.client import encode
from tests.support.look import Look
from tests.support.server import Knobs, Server

LINES, WAITING = 40, 19
LONG = 80 * "\N{WAVING HAND SIGN}"
"""Four bytes each."""

MORE_THAN_BUFFERS = 6_000_000

ROOMY: Knobs = {"store__url": "memory:", "strategy__max_running": 40}


@contextmanager
def stuck(server: Server) -> Iterator[socket.socket]:
    """A reader that takes nothing, once the server can send it no more."""
    for number in range(LINES):
        server.ask("hang", f"c{number}")
        for _ in range(WAITING):
            server.ask(LONG, f"c{number}")
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.connect(("127.0.0.1", server.port))
        reader.sendall(encode("GET", "/view", None, {"accept": "text/event-stream"}))
        with Look(server.port) as look:
            told = 0
            while told < MORE_THAN_BUFFERS:
                for number in range(LINES):
                    server.cancel(server.ask("y", f"c{number}"))
                told += len(str(next(iter(look)).data).encode())
        yield reader


def has_an_end(reader: socket.socket) -> bool:
    """Whether the response was sent to its end."""
    last = b""
    with suppress(ConnectionResetError):
        while more := reader.recv(1_000_000):
            last = (last + more)[-7:]
    return last == b"\r\n0\r\n\r\n"


@pytest.mark.slow
def test_a_reader_that_takes_nothing_does_not_hold_up_the_end(folder: Path) -> None:
    with Server(folder, server__drain_s=0.5, **ROOMY) as server, stuck(server) as reader:
        assert server.health()["requests_in_flight"] >= 2, "it was given up"
        server.signal(signal.SIGTERM)
        assert server.wait(10.0) == 0
        assert not has_an_end(reader), "it was not stuck"
