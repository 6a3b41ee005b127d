"""A listening socket with a cap on open connections: a client too many is told so and closed.

Without it, running out of file descriptors would make the server deaf, `/health` included.
"""

from __future__ import annotations

import os
import resource
import socket
from contextlib import suppress
from typing import Any, Self

from runner.api.exchange import Answer
from runner.api.problems import MALFORMED_REQUEST, SERVER_FULL, problem

BACKLOG = 2048

UNREAD_MS = 30_000
"""An answer of which a client takes nothing for so long is given up, and its connection closed."""

SPARE_DESCRIPTORS = 64
"""Kept free of clients: the store, the log, the agent's own connections."""

FEW = 16
"""Connections without which there is no point in serving, unless fewer are wanted."""


def as_bytes(answer: Answer, reason: str) -> bytes:
    """The answer as HTTP/1.1, for where no request was read and so no app is asked."""
    head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    end = f"content-length: {len(answer.body)}\r\nconnection: close\r\n\r\n"
    return f"HTTP/1.1 {answer.status} {reason}\r\n{head}{end}".encode() + answer.body


TOO_MANY = "Too many connections are open. Try again in a moment."
FULL = as_bytes(problem(SERVER_FULL, TOO_MANY), "Service Unavailable")
MALFORMED = problem(MALFORMED_REQUEST, "This is not valid HTTP/1.1, or its head is too large.")


class Listener(socket.socket):
    """Accepts at most `most` connections at a time; further ones are answered with FULL.

    Where these are fewer than were wanted, `reason` says why, and what to do.
    """

    most = 0
    open = 0
    reason = ""

    @classmethod
    def at(cls, host: str, port: int, most: int) -> Self:
        """Bind; `OSError` where the address cannot be had. Port 0 takes any free one."""
        possible, reason = _possible(most)
        if possible < min(most, FEW):
            raise OSError(reason)
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = cls(family, kind, protocol)
        listener.most, listener.reason = possible, reason
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Accepted connections take it over: one whose client reads nothing ends by itself.
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
            listener.setblocking(False)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        # A child that an agent forks must not keep the port when this process is killed.
        os.register_at_fork(after_in_child=listener.let_go)
        return listener

    def let_go(self) -> None:
        """Close, though uvloop holds the socket and so keeps `close` from doing it."""
        if self.fileno() >= 0:
            os.close(self.detach())

    def accept(self) -> tuple[socket.socket, Any]:
        while True:
            accepted, address = super().accept()
            if self.open < self.most:
                self.open += 1
                return _Connection(self, accepted), address
            _turn_away(accepted)


class _Connection(socket.socket):
    """An accepted connection that says when it is closed."""

    def __init__(self, listener: Listener, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._listener: Listener | None = listener

    def close(self) -> None:
        if self._listener is not None:
            self._listener.open -= 1
            self._listener = None
        super().close()


def _turn_away(connection: socket.socket) -> None:
    """Answer before anything was read; the answer is small enough for any socket buffer."""
    with connection, suppress(OSError):
        connection.setblocking(False)
        connection.send(FULL)
        connection.shutdown(socket.SHUT_WR)


def _possible(most: int) -> tuple[int, str]:
    """How many connections the limit on open files allows, and what there is to know of that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY or hard >= most + SPARE_DESCRIPTORS:
        return most, ""
    wanted = most + SPARE_DESCRIPTORS
    return max(hard - SPARE_DESCRIPTORS, 0), (
        f"this process may have {hard} files open, and {most} connections need {wanted}: raise "
        f"it (`ulimit -n {wanted}`, LimitNOFILE={wanted} in a systemd unit, `--ulimit "
        f"nofile={wanted}` in docker run), or set server.max_connections to what you need"
    )
