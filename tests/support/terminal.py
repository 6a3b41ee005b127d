"""A command of ours in a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from typing import Any, Self

from tests.support import client
from tests.support.server import ROOT

HOME = "\x1b[H"
"""Who draws a whole screen begins it so."""


class Terminal:
    """`runner ARGUMENTS` in a terminal of so many rows and columns. Use it with `with`."""

    prompt = ""
    """What is shown before one can type."""

    def __init__(self, *arguments: str, rows: int = 24, columns: int = 80, **environ: str) -> None:
        self._master, self._slave = pty.openpty()
        termios.tcsetwinsize(self._slave, (rows, columns))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runner", *arguments],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**_environment(), **environ},
            start_new_session=True,
            # A shell that starts the tests in the background has them ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        self.until(self.prompt)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait(client.LIMIT_S)
        os.close(self._slave)
        self._reader.join(client.LIMIT_S)
        os.close(self._master)

    @property
    def modes(self) -> list[Any]:
        """Whether what is typed is shown, and so on, as `termios` gives it."""
        return termios.tcgetattr(self._slave)

    @property
    def screens(self) -> list[list[str]]:
        """The lines of each whole screen that was drawn, without colours."""
        drawn = re.sub(r"\x1b\[[\d;?]*[a-gi-zA-GI-Z]", "", self.text).split(HOME)
        # What follows the last may not be all of it.
        return [one.splitlines() for one in drawn[1:-1] if one]

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, text: str) -> None:
        client.until(lambda: text in self.text, f"the terminal shows {text!r}")

    def _read(self) -> None:
        while True:
            try:
                self.text += os.read(self._master, 65536).decode(errors="replace")
            except OSError:
                return


def _environment() -> dict[str, str]:
    """This process's, without a size: that is the terminal's to tell."""
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
