"""`--reload`: serve in a child process, and a new one whenever the code changes.

The child has a process group of its own, so that Ctrl-C reaches it through us
and once: a second signal would cut its drain short.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click
from watchfiles import PythonFilter, watch

WATCHED = ("runner.toml", "pyproject.toml")
"""Besides *.py. Caches and virtual environments are left out by the filter itself."""

POLL_MS = 300


def serve_with_reload(arguments: Sequence[str], folder: Path) -> int:
    """Run `runner` with the arguments until told to stop; the child's last exit status."""
    child = _Child([sys.executable, "-m", "runner", *arguments])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, child.stop)
    looks = watch(
        folder,
        watch_filter=PythonFilter(extra_extensions=WATCHED),
        stop_event=child.stopped,
        yield_on_timeout=True,
        rust_timeout=POLL_MS,
        raise_interrupt=False,
    )
    for look, changes in enumerate(looks):
        if look == 0:
            child.start()  # Not before the watcher: a change made meanwhile would be missed.
        elif changes:
            names = sorted({Path(name).name for _, name in changes})
            click.echo(f"changed: {', '.join(names)}; starting again", err=True)
            child.restart()
        else:
            child.tell_if_ended()
    return child.wait()


class _Child:
    def __init__(self, command: Sequence[str]) -> None:
        self.stopped = threading.Event()
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._told = False

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, process_group=0)
        self._told = False
        if self.stopped.is_set():  # The signal came before there was a child to tell.
            self._process.terminate()

    def restart(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        if not self.stopped.is_set():
            self.start()

    def stop(self, number: int, frame: FrameType | None) -> None:
        """As a signal handler: each signal is handed on, so a second one hurries the child."""
        self.stopped.set()
        if self._process is not None:
            self._process.terminate()

    def tell_if_ended(self) -> None:
        if self._process is not None and self._process.poll() is not None and not self._told:
            self._told = True
            click.echo("the server ended; waiting for a change", err=True)

    def wait(self) -> int:
        status = self._process.wait() if self._process is not None else 0
        return status if status >= 0 else 128 - status  # As shells say it.
