"""What is written in one turn of the event loop goes to the socket in one call.

The head, the body and the end of a response are written one by one, and each was a system call:
a fifth to two fifths of what a short turn costs.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

HELD_BYTES = 65_536
"""More is written at once."""


class Joined:
    """Goes around a transport, or a StreamWriter: all but these is theirs."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def write(self, data: bytes) -> None:
        if self._writer.is_closing():
            self._writer.write(data)  # Which says so, or drops it.
            return
        if not self._held:
            asyncio.get_running_loop().call_soon(self.flush)
        self._held += data
        if len(self._held) > HELD_BYTES:
            self.flush()

    def write_eof(self) -> None:
        self.flush()
        self._writer.write_eof()

    def close(self) -> None:
        self.flush()
        self._writer.close()

    def flush(self) -> None:
        """Write now what is held, where what comes next goes by whether that succeeds."""
        held, self._held = self._held, b""
        if held:
            with suppress(ConnectionError, RuntimeError):  # Whoever writes next is told.
                self._writer.write(held)
