"""Where log lines go: a file descriptor that never raises and never holds the server up."""

from __future__ import annotations

import os
import select
import threading

PATIENCE_MS = 50
"""A reader that is slow is waited for so long, once; one that is stuck is not waited for again."""


class LogStream:
    """Writes, from any thread, and gives up instead of raising or waiting for long."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._lost = 0
        self._poll = select.poll()
        if descriptor is not None:
            self._poll.register(descriptor, select.POLLOUT)

    def write(self, text: str) -> int:
        with self._lock:
            if self._lost and self._send(f"{self._lost} log lines were lost\n"):
                self._lost = 0
            if self._lost or not self._send(text):
                self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def _send(self, text: str) -> bool:
        if self._descriptor is None:
            return False
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data:
                if not self._poll.poll(0 if self._lost else PATIENCE_MS):
                    return False
                # So much a pipe that polls as writable takes without blocking.
                data = data[os.write(self._descriptor, data[: select.PIPE_BUF]) :]
        except OSError:
            return False
        return True
