"""Sends the spans of turns, many at once, from a thread of its own: the event loop never waits."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
)

import structlog
from opentelemetry.util.re import parse_env_headers

from runner.telemetry.otlp import Requests

MOST = 8_192
"""Turns that wait to be sent; then the oldest are lost."""

AT_ONCE = 512
"""Turns in a request; so many do not wait for their time."""

LOOK_S = 0.005

PATIENCE_S = 10.0
"""For a collector that does not answer."""

WORTH_ANOTHER_TRY = (429, 502, 503, 504)
"""As OTLP wants it. What is refused with another status is lost."""

log = structlog.get_logger(__name__)


class Sender:
    """Takes turns in the event loop. A collector that is away costs lines, and then spans.

    Headers, certificates and the time between two requests are those of OpenTelemetry's own
    variables, such as OTEL_EXPORTER_OTLP_HEADERS.
    """

    def __init__(self, url: str, requests: Requests) -> None:
        self._url = url
        self._requests = requests
        self._every_s = int(_told("OTEL_BSP_SCHEDULE_DELAY") or 5_000) / 1000
        told = _of_traces("HEADERS")
        self._headers = {**parse_env_headers(told), "content-type": "application/x-protobuf"}
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
        opener = _opener(self._url)
        while not self._is_closed:
            self._news.wait(self._every_s)
            self._news.clear()
            while self._turns and self._send(opener):
                pass

    def _send(self, opener: OpenerDirector) -> bool:
        """Whether the next ones may be sent at once."""
        some = [self._turns.popleft() for _ in range(min(len(self._turns), AT_ONCE))]
        try:
            body = self._requests.make(some)
            request = Request(self._url, body, self._headers)
            with opener.open(request, timeout=PATIENCE_S):
                pass
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


class _Stays(HTTPRedirectHandler):
    """Follows no redirect: that would be a GET without the spans, and take the headers along."""

    def redirect_request(
        self, req: Request, fp: object, code: int, msg: str, headers: object, newurl: str
    ) -> None:
        return None


def _opener(url: str) -> OpenerDirector:
    own = [HTTPSHandler(context=_certificates())] if url.startswith("https:") else []
    return build_opener(_Stays, *own)


def _certificates() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=_of_traces("CERTIFICATE") or None)
    if mine := _of_traces("CLIENT_CERTIFICATE"):
        context.load_cert_chain(mine, _of_traces("CLIENT_KEY") or None)
    return context


def _of_traces(name: str) -> str:
    return _told(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or _told(f"OTEL_EXPORTER_OTLP_{name}")


def _told(variable: str) -> str:
    return os.environ.get(variable, "").strip()
