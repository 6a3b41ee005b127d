"""`--reload`: serve in a child process, and a new one whenever the code changes.

It has a process group of its own: a Ctrl-C that reached it twice would cut its drain short.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import click
from watchfiles import PythonFilter, watch

from runner import start
from runner.process import watchdog

WATCHED = ("runner.toml", "pyproject.toml")
"""Besides *.py. Caches and virtual environments are left out by the filter itself."""

POLL_MS = 300

AGAIN = "--again"


def serve_with_reload(arguments: Sequence[str], config: str | None = None) -> int:
    """Run `runner` with the arguments until told to stop; the child's last exit status.

    config  a settings file that somebody named, wherever it is.
    """
    child = _Child(start.command("runner", *arguments))
    watchdog.hand_over(child.stop)
    named = [Path(config).expanduser().absolute()] if config else []
    looks = watch(
        Path.cwd(),
        *[file.parent for file in named if file.parent.is_dir()],
        watch_filter=PythonFilter(extra_extensions=(*WATCHED, *map(str, named))),
        stop_event=child.stopped,
        yield_on_timeout=True,
        rust_timeout=POLL_MS,
        raise_interrupt=False,
    )
    for look, changes in enumerate(looks):
        if changes:
            names = sorted({Path(name).name for _, name in changes})
            click.echo(f"changed: {', '.join(names)}; starting again", err=True)
        if changes or look == 0:  # Not before the watcher: a change meanwhile would be missed.
            child.start()
        elif child.has_just_ended():
            click.echo("the server ended; waiting for a change", err=True)
    return child.wait()


class _Child:
    def __init__(self, command: Sequence[str]) -> None:
        self.stopped = threading.Event()
        self._command = command
        self._again: list[str] = []
        self._signal: int = signal.SIGTERM
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, in place of the one that runs."""
        if self._process and self._process.poll() is None:
            self._again = [AGAIN]  # It serves, so its banner has been seen.
        self._tell(signal.SIGTERM)
        self.wait()
        if self.stopped.is_set():
            return
        command = [*self._command, *self._again]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
        if self.stopped.is_set():  # The signal came before there was this child to tell.
            self._tell(self._signal)

    def stop(self, number: int) -> None:
        """As a signal handler: each signal is handed on, so a second one hurries the child."""
        self._signal = number
        self.stopped.set()
        self._tell(number)

    def has_just_ended(self) -> bool:
        """Once for each child: its `returncode` is None until it is polled or waited for."""
        child = self._process
        return child is not None and child.returncode is None and child.poll() is not None

    def wait(self) -> int:
        status = self._process.wait() if self._process else 0
        return status if status >= 0 else 128 - status  # As shells say it.

    def _tell(self, number: int) -> None:
        if self._process:
            self._process.send_signal(number)
