"""The end of this process: signals ask for it, and nothing that an agent left holds it up.

An agent may leave threads, children and exit handlers that hang, block the main thread, or
take the signals for itself. So a thread of our own, the watchdog, ends the process when its
time is up. C tells it of a signal at once, also where the main thread cannot be told.

An ordinary end is Python's: threads are joined, then exit handlers called. The last of these
is ours and ends the process, for what would follow (`__del__`, C destructors) may hang or crash.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import monotonic
from types import FrameType

from runner.log_stream import LogStream

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

LEAVE_S = 0.9
"""For whatever comes after the server's own end, or after a second signal."""

HELD_UP = "something that the agent started did not stop in time and is left behind\n"


class Watchdog:
    """Ends the process in time. There is one, as there is one set of signals.

    Until somebody takes over the signals, one of them ends the process at once, with status 0:
    there is nothing to lose yet.
    """

    def __init__(self) -> None:
        self._ends_at = inf
        self._status = 0
        self._handler: Callable[[int], object] | None = None
        self._first_s = self._again_s = 0.0
        self._read = self._write = -1
        self._forking = threading.local()

    def start(self) -> None:
        """Watch. What registers an exit handler after this has it called."""
        if self._read < 0:
            self._read, self._write = os.pipe()
            os.set_blocking(self._write, False)
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
            atexit.register(self._leave)
            os.register_at_fork(
                before=self._hold_signals,
                after_in_parent=self._release_signals,
                after_in_child=self._let_go,
            )

    def take_signals(self) -> list[str]:
        """Take them, also from an agent that took one; the names of those that were not ours."""
        taken: list[str] = []
        for number in STOPPING:
            now = signal.getsignal(number)
            # Who started us under nohup means it.
            if now != self._signalled and (number, now) != (signal.SIGHUP, signal.SIG_IGN):
                signal.signal(number, self._signalled)
                taken.append(number.name)
        return taken

    def take_signals_early(self) -> None:
        """The same, and hear of them in C: the import of an agent may take its time there."""
        self.take_signals()
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def hand_over(
        self, handler: Callable[[int], object], first_s: float = inf, again_s: float = inf
    ) -> None:
        """From now on a signal calls the handler.

        The process ends `first_s` seconds after the first one and `again_s` after any other,
        should the handler not be called.
        """
        self.start()
        self._handler, self._first_s, self._again_s = handler, first_s, again_s
        self.take_signals_early()

    def end_within(self, seconds: float, status: int = 0) -> None:
        """End with this status, by then at the latest. For any thread, and for signal handlers."""
        self._status = status
        self._ends_at = min(self._ends_at, monotonic() + seconds)
        with suppress(BlockingIOError):  # So full a pipe is read.
            os.write(self._write, b"\0")

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self._handler is None:
            os._exit(0)
        self._handler(number)

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        while (left_s := self._ends_at - monotonic()) > 0:
            if poll.poll(None if left_s == inf else 1000 * left_s):
                for number in os.read(self._read, 4096):
                    if number in STOPPING:
                        self._hear()
        LogStream(2).write(HELD_UP)
        os._exit(self._status)

    def _hear(self) -> None:
        if self._handler is None:
            os._exit(0)
        self._ends_at = min(self._ends_at, monotonic() + self._first_s)
        self._first_s = self._again_s

    def _leave(self) -> None:
        """The last exit handler."""
        if logging := sys.modules.get("logging"):
            logging.shutdown()  # Its own handler was perhaps registered before this one.
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):  # None, broken or closed.
                stream.flush()
        os._exit(self._status)

    # A child that an agent forks has signals and an end of its own. One that came before it has
    # let go of ours would be lost there, and heard of here.

    def _hold_signals(self) -> None:
        self._forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)

    def _release_signals(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._forking.mask)

    def _let_go(self) -> None:
        atexit.unregister(self._leave)
        if (told := signal.set_wakeup_fd(-1)) not in (-1, self._write):
            signal.set_wakeup_fd(told)
        for number in STOPPING:
            if signal.getsignal(number) == self._signalled:
                is_int = number == signal.SIGINT
                signal.signal(number, signal.default_int_handler if is_int else signal.SIG_DFL)
        self._release_signals()


watchdog = Watchdog()
