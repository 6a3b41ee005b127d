"""The last line of a terminal, while something is awaited: how it stands, and since when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from shutil import get_terminal_size
from typing import Self, TextIO

Words = Callable[[float], str]
"""What stands in the line so many seconds after it was shown."""

TICK_S = 1.0


class StatusLine:
    """Written again each second. Where the stream is no terminal, nothing is shown.

    With `with` it is empty again at the end of the block, whatever happened in it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._words: Words | None = None
        self._since_s = 0.0
        self._ticks = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.clear()

    def show(self, words: Words) -> None:
        """Show these words, in place of those before."""
        if not self._stream.isatty():
            return
        with self._lock:
            self._words, self._since_s = words, time.monotonic()
            self._write(words(0.0))
        if not self._ticks:
            self._ticks = True
            threading.Thread(target=self._tick, daemon=True).start()

    def clear(self) -> None:
        """Leave the line empty, for others to write in it."""
        with self._lock:
            if self._words is not None:
                self._words = None
                self._write("")

    def _tick(self) -> None:
        while True:
            time.sleep(TICK_S)
            with self._lock:
                if self._words is not None:
                    self._write(self._words(time.monotonic() - self._since_s))

    def _write(self, text: str) -> None:
        # A line that wraps could not be replaced.
        shown = text[: get_terminal_size().columns - 1]
        print(f"\r\x1b[K{shown}", end="", file=self._stream, flush=True)
