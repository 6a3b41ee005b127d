"""Sends the spans of turns, many at once, from a thread of its own: the event loop never waits."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from urllib.error import HTTPError

import structlog

from runner.telemetry.collector import Collector, told
from runner.telemetry.otlp import Requests

MOST = 8_192
"""Turns that wait to be sent; then the oldest are lost."""

AT_ONCE = 512
"""Turns in a request; so many do not wait for their time."""

LOOK_S = 0.005

SCHEDULE_DELAY = "OTEL_BSP_SCHEDULE_DELAY"

WORTH_ANOTHER_TRY = (429, 502, 503, 504)
"""As OTLP wants it. What is refused with another status is lost."""

log = structlog.get_logger(__name__)


class Sender:
    """Takes turns in the event loop. A collector that is away costs lines, and then spans.

    The time between two requests is that of OpenTelemetry's own variable. Raises ValueError,
    and what a Collector raises.
    """

    def __init__(self, url: str, requests: Requests) -> None:
        self._url = url
        self._requests = requests
        self._every_s = _schedule_delay_s()
        self._collector = Collector(url)
        self._turns: deque[bytes] = deque(maxlen=MOST)
        self._lost = 0
        self._is_away = False
        self._news = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def take(self, spans: bytes) -> None:
        """A turn's."""
        if self._thread is None:
            self._thread = started("spans", self._serve)
        turns = self._turns
        self._lost += len(turns) == MOST
        turns.append(spans)
        if len(turns) == AT_ONCE:
            self._news.set()

    def close(self) -> threading.Thread | None:
        """Send the last ones, in this thread."""
        self._is_closed = True
        self._news.set()
        return self._thread

    def _serve(self) -> None:
        while not self._is_closed:
            self._news.wait(self._every_s)
            self._news.clear()
            while self._turns and self._send():
                pass

    def _send(self) -> bool:
        """Whether the next ones may be sent at once."""
        some = [self._turns.popleft() for _ in range(min(len(self._turns), AT_ONCE))]
        try:
            self._collector.send(self._requests.make(some))
        except Exception as error:
            self._fail(some, error)
            return False
        if self._is_away:
            log.info("the collector of spans is back", lost_turns=self._lost)
        self._is_away, self._lost = False, 0
        return True

    def _fail(self, some: list[bytes], error: Exception) -> None:
        """Keep them for another try, as far as there is room."""
        if isinstance(error, HTTPError) and error.code not in WORTH_ANOTHER_TRY:
            self._lost += len(some)
        else:
            room = MOST - len(self._turns)
            self._lost += max(len(some) - room, 0)
            self._turns.extendleft(reversed(some[-room:] if room else []))
        if not self._is_away:
            log.warning("spans cannot be sent", url=self._url, reason=str(error))
        self._is_away = True


def started(name: str, work: Callable[[], object]) -> threading.Thread:
    """A thread that the process does not wait for when it ends."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


async def gone_within(seconds: float, *threads: threading.Thread | None) -> None:
    """Wait so long at most until these have ended."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while any(one is not None and one.is_alive() for one in threads):
                await asyncio.sleep(LOOK_S)


def _schedule_delay_s() -> float:
    """Seconds between two requests. Raises ValueError."""
    value = told(SCHEDULE_DELAY) or "5000"
    if not value.isdecimal() or not 0 < int(value) < 2**31:
        raise ValueError(f"{SCHEDULE_DELAY} must be a number of milliseconds, not {value!r}")
    return int(value) / 1000
