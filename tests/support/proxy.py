"""A TCP proxy that cuts connections, to see who comes back and how."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self


class CuttingProxy:
    """Forwards to a port; each connection in turn is cut after as many bytes of the answer."""

    def __init__(self, port: int, cuts: list[int] | None = None) -> None:
        self._target = port
        self._cuts = cuts or []
        self._held: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self) -> None:
        """All that are there now."""
        while self._held:
            _end(self._held.pop())

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            limit = self._cuts.pop(0) if self._cuts else None
            threading.Thread(target=self._serve, args=(client, limit), daemon=True).start()

    def _serve(self, client: socket.socket, limit: int | None) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            threading.Thread(target=_forward, args=(client, server), daemon=True).start()
            self._held.append(client)
            _forward(server, client, limit)
            for end in (client, server):
                _end(end)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _forward(source: socket.socket, target: socket.socket, limit: int | None = None) -> None:
    with suppress(OSError):
        while limit is None or limit > 0:
            data = source.recv(65536 if limit is None else min(limit, 65536))
            if not data:
                return
            target.sendall(data)
            limit = None if limit is None else limit - len(data)
