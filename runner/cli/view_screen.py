"""A whole terminal that shows a view, until a key or a signal says that somebody leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import time
import tty
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from runner.cli.view_state import View
from runner.cli.view_stream import Lost
from runner.cli.view_table import Paper, draw, legend

TICK_S = 1.0
"""Ages go on where no document comes."""

TOLD_S = 10.0
"""For so long it is said that the server is back."""

QUIT_KEYS = frozenset(b"qQ\x03\x04")
"""Where the terminal makes no signal of Ctrl-C, it is a key."""


class ViewScreen:
    """Of one server. The terminal is as it was before, however `run` ends."""

    def __init__(self, view: View, url: str, console: Console) -> None:
        self._view = view
        self._url = url
        self._console = console
        self._taken_at = time.monotonic()
        self._lost: Lost | None = None
        self._lost_at = self._back_at = 0.0

    async def run(self, events: AsyncGenerator[View | Lost]) -> None:
        """Show what comes. Raises what `events` raises."""
        left = asyncio.Event()
        with (
            _typed(left),
            Live(
                console=self._console,
                screen=True,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            ) as live,
        ):
            self._draw(live)
            tasks = {
                asyncio.ensure_future(one)
                for one in (self._read(events, live), self._tick(live), left.wait())
            }
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, events: AsyncGenerator[View | Lost], live: Live) -> None:
        async for event in events:
            now = time.monotonic()
            if isinstance(event, View):
                self._taken_at = now
                if self._lost is not None:
                    self._lost, self._back_at = None, now
            else:
                self._lost_at = self._lost_at if self._lost else now
                self._lost = event
            self._draw(live)

    async def _tick(self, live: Live) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._draw(live)

    def _draw(self, live: Live) -> None:
        width, height = self._console.size
        paper = Paper(width, height, self._console.options.ascii_only)
        # What is not heard of is not known to go on.
        until = self._lost_at if self._lost else time.monotonic()
        now = self._view.now + max(0.0, until - self._taken_at)
        live.update(draw(self._view, self._url, now, self._status(paper), paper), refresh=True)

    def _status(self, paper: Paper) -> str:
        now = time.monotonic()
        if self._lost:
            return (
                f"connection lost {now - self._lost_at:.0f} s ago, trying again: {self._lost.why}"
            )
        if self._back_at and now - self._back_at < TOLD_S:
            return f"connected again after {self._back_at - self._lost_at:.0f} s"
        return f"{legend(paper)}   q leaves"


@contextmanager
def _typed(left: asyncio.Event) -> Generator[None]:
    """Keys are read as they are typed, and not shown; q, Ctrl-C, SIGINT and SIGTERM set `left`."""
    loop, keys = asyncio.get_running_loop(), sys.stdin.fileno()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, left.set)
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(keys)

    def read() -> None:
        typed = os.read(keys, 64)
        if not typed or set(typed) & QUIT_KEYS:
            left.set()

    tty.setcbreak(keys, termios.TCSANOW)
    loop.add_reader(keys, read)
    # The shell would be shown with this screen and without its keys.
    held = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        yield
    finally:
        loop.remove_reader(keys)
        termios.tcsetattr(keys, termios.TCSANOW, before)
        signal.signal(signal.SIGTSTP, held)
