"""A server that takes webhooks, or does not."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass(frozen=True, slots=True)
class Hook:
    """One as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Use it with `with`. `statuses` are answered one after another, the last one for ever."""

    def __init__(self, *statuses: int, retry_after: str = "") -> None:
        self.retry_after = retry_after
        self.statuses = list(statuses or (204,))
        self.hooks: list[Hook] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                named = {name.lower(): value for name, value in self.headers.items()}
                receiver.hooks.append(Hook(self.path, named, body))
                self.send_response(receiver.next_status())
                self.send_header("location", "/elsewhere")
                if receiver.retry_after:
                    self.send_header("retry-after", receiver.retry_after)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def next_status(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    @property
    def url(self) -> str:
        return f"http://localhost:{self._server.server_port}/turns?from=us"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Silent:
    """A server that takes connections and says nothing, or always the same. Use it with `with`."""

    def __init__(self, says: bytes = b"") -> None:
        self._says = says
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._taken: list[socket.socket] = []

    @property
    def count(self) -> int:
        """Of connections."""
        return len(self._taken)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._taken):
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.sendall(self._says)
                self._taken.append(connection)
