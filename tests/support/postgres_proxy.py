"""Between a store and its Postgres server: connections are lost where a test wants it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class PostgresProxy:
    """Forwards to the server of the URL; `url` leads here instead.

    is_away  whether new connections are refused.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname or "", parts.port or 5432
        self._listener = socket.create_server(("127.0.0.1", 0))
        account = parts.netloc.rpartition("@")[0]
        here = f"{account}@127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=here))
        self.is_away = False
        self._losing: bytes | None = None
        self._passes = 0
        self._arrives = False
        self._held: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def lose(self, statement: str, *, arrives: bool, after: int = 0) -> None:
        """Cut the connection that says so, when the server has answered it, or before.

        after  so many times it is let through first.
        """
        self._losing, self._passes, self._arrives = statement.encode(), after, arrives

    def go_away(self) -> None:
        self.is_away = True
        self.cut()

    def come_back(self) -> None:
        self.is_away = False

    def cut(self) -> None:
        """All connections that are there now."""
        while self._held:
            _end(self._held.pop())

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_away:
                client.close()
            else:
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        answer_is_lost = threading.Event()
        with client, socket.create_connection(self._target) as server:
            self._held += client, server
            down = threading.Thread(target=_forward, args=(server, client, answer_is_lost))
            down.start()
            with suppress(OSError):
                while (data := client.recv(2**20)) and self._lets_through(data, answer_is_lost):
                    server.sendall(data)
            _end(client)
            _end(server)
            down.join()

    def _lets_through(self, data: bytes, answer_is_lost: threading.Event) -> bool:
        if self._losing is None or self._losing not in data:
            return True
        self._passes -= 1
        if self._passes >= 0:
            return True
        self._losing = None
        if self._arrives:
            answer_is_lost.set()
        return self._arrives


def _forward(source: socket.socket, target: socket.socket, is_lost: threading.Event) -> None:
    with suppress(OSError):
        while (data := source.recv(2**20)) and not is_lost.is_set():
            target.sendall(data)
    _end(target)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
