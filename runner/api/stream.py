"""Server-sent events (WHATWG HTML, 9.2): a turn as it happens, from wherever a client was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from runner.api.body import ClientLeft, until_left
from runner.api.exchange import Headers, Receive, Send
from runner.turns.events import Cursor, Event
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

PATIENCE_S = 30.0
"""A reader that takes nothing for this many seconds is disconnected; it may resume."""

HEADERS = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),
)


class Words(Protocol):
    """A turn's events in the words of one kind of client. Implementations need not inherit.

    headers  of the response, beside those of every stream.
    """

    @property
    def headers(self) -> Headers: ...

    def opening(self) -> bytes:
        """What is sent first."""
        ...

    def encode(self, told: Event) -> bytes:
        """An event, or b"" where this client is not told of it."""
        ...


@dataclass(slots=True, eq=False)
class EventStream:
    """A response: the turn's events after those that the cursor has seen, until its end.

    is_waiting  its client waits for the turn, and `leaves` it when the stream ends.
    """

    service: Service
    live: LiveTurn
    cursor: Cursor
    words: Words
    headers: Headers = ()
    is_waiting: bool = False
    _wakeup: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _is_silent: bool = field(default=False, init=False)

    async def __call__(self, send: Send, receive: Receive) -> None:
        departure = asyncio.get_running_loop().create_task(until_left(receive))
        departure.add_done_callback(lambda _: self._wakeup.set())
        timer = _Timer(min(self.service.settings.server.stream_comment_s, PATIENCE_S))
        try:
            async with asyncio.timeout(None) as limit:
                with self.service.watching(self.live, self._wakeup.set):
                    await self._send_all(send, timer, limit, departure)
        except TimeoutError as error:
            raise ClientLeft from error
        finally:
            timer.stop()
            departure.cancel()
            if self.is_waiting:
                self.live.leave()

    async def _send_all(
        self, send: Send, timer: _Timer, limit: asyncio.Timeout, departure: asyncio.Future[None]
    ) -> None:
        comment_s = self.service.settings.server.stream_comment_s

        async def deliver(kind: str, **more: object) -> None:
            timer.move(PATIENCE_S, lambda: limit.reschedule(0))
            await send({"type": f"http.response.{kind}", **more})
            timer.move(comment_s, self._fall_silent)

        headers = (*HEADERS, *self.words.headers, *self.headers)
        head = [(name.encode(), value.encode()) for name, value in headers]
        await deliver("start", status=200, headers=head)
        await deliver("body", body=self.words.opening() + self._news(), more_body=True)
        while not self.cursor.at_end:
            await self._wakeup.wait()
            self._wakeup.clear()
            if departure.done():
                raise ClientLeft
            if news := self._news():
                await deliver("body", body=news, more_body=True)
        await deliver("body", body=b"")

    def _fall_silent(self) -> None:
        self._is_silent = True
        self._wakeup.set()

    def _news(self) -> bytes:
        """The events that are new, or a comment after a long silence, or nothing."""
        news = b"".join(map(self.words.encode, self.cursor.all_new(self.live)))
        is_silent, self._is_silent = self._is_silent, False
        return b":\n\n" if is_silent and not news else news


def event(data: bytes, kind: str = "", event_id: str = "") -> bytes:
    """One event. JSON has no line break of its own, so one data line is enough."""
    head = b"id: %b\n" % event_id.encode() if event_id else b""
    if kind:
        head += b"event: %b\n" % kind.encode()
    return head + b"data: %b\n\n" % data


def data_of(text: bytes) -> bytes:
    """What the first `event` in this was made of."""
    return text.partition(b"data: ")[2].partition(b"\n")[0]


class _Timer:
    """Calls what it was last given, once, when its time has come.

    One timer for a stream: two for each piece, as a limit of its own would make, cost more
    than the piece. So the next tick is never moved; it finds out what is due.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._at = inf
        self._due: Callable[[], None] = self.stop
        self._loop = asyncio.get_running_loop()
        self._tick()

    def move(self, delay_s: float, due: Callable[[], None]) -> None:
        self._at, self._due = self._loop.time() + delay_s, due

    def stop(self) -> None:
        self._handle.cancel()

    def _tick(self) -> None:
        left_s = self._at - self._loop.time()
        if left_s <= 0:
            self._at = left_s = inf
            self._due()
        # At least a moment, or rounding could have it tick for ever in one instant.
        delay_s = max(0.001, min(left_s, self._period_s))
        self._handle = self._loop.call_later(delay_s, self._tick)
