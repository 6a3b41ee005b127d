"""A client that asks and then reads nothing does not keep its connection for ever."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.support import client
from tests.support.server import Server


def test_an_answer_that_nobody_reads_is_given_up(folder: Path) -> None:
    with Server(folder) as server:
        for _ in range(30):
            server.chat("x" * 250_000)
        with client.connect(server.port) as unread:
            unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            unread.sendall(client.encode("GET", "/history?count=0"))
            port = unread.getsockname()[1]
            server.until_closed(port, 45.0)
