"""Server-sent events (WHATWG HTML, 9.2): a turn as it happens, from wherever a client was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from runner.api import documents
from runner.api.asgi import Headers, Receive, Send
from runner.api.body import ClientLeft, until_left
from runner.api.exchange import to_json
from runner.turns.events import Cursor, Event
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

PATIENCE_S = 30.0
"""A reader that takes nothing for so long is let go; it may resume."""

HEADERS = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),
)


class EventStream:
    """A response: the turn's events after those that the cursor has seen, until its end.

    is_waiting  its client waits for the turn, and `leaves` it when the stream ends.
    """

    def __init__(
        self,
        service: Service,
        live: LiveTurn,
        cursor: Cursor,
        headers: Headers = (),
        *,
        is_waiting: bool = False,
    ) -> None:
        self._is_waiting = is_waiting
        self._service = service
        self._live = live
        self._cursor = cursor
        self._headers = (*HEADERS, ("location", f"/turns/{live.turn.id}"), *headers)
        self._news = asyncio.Event()

    async def send(self, send: Send, receive: Receive) -> None:
        try:
            await self._send(send, receive)
        finally:
            if self._is_waiting:
                self._live.leave()

    async def _send(self, send: Send, receive: Receive) -> None:
        departure = asyncio.get_running_loop().create_task(until_left(receive))
        departure.add_done_callback(lambda _: self._news.set())
        try:
            # One time limit for the whole stream, moved by the clock: two timers for each
            # piece, as a limit of its own would make, cost more than the piece.
            async with asyncio.timeout(None) as limit:
                clock = _Clock(self._service.settings.server.stream_comment_s, limit, self._news)
                try:
                    with self._service.watching(self._live, self._news.set):
                        await self._send_events(send, clock, departure)
                finally:
                    clock.stop()
        except TimeoutError as error:
            raise ClientLeft from error
        finally:
            departure.cancel()

    async def _send_events(
        self, send: Send, clock: _Clock, departure: asyncio.Future[None]
    ) -> None:
        head = [(name.encode(), value.encode()) for name, value in self._headers]
        clock.sending()
        await send({"type": "http.response.start", "status": 200, "headers": head})
        while not self._cursor.at_end:
            news = b"".join(map(self._encode, self._cursor.all_new(self._live)))
            if not news and clock.comment_is_due:
                news = b":\n\n"
            if news:
                clock.sending()
                await send({"type": "http.response.body", "body": news, "more_body": True})
                clock.sent()
            else:
                await self._news.wait()
                self._news.clear()
            if departure.done():
                raise ClientLeft
        await send({"type": "http.response.body", "body": b""})

    def _encode(self, event: Event) -> bytes:
        kind, data = self._describe(event)
        # JSON has no line break of its own, so one data line is enough.
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (
            event.id.encode(), kind.encode(), to_json(data)
        )  # fmt: skip

    def _describe(self, event: Event) -> tuple[str, Mapping[str, object]]:
        live = self._live
        match event.kind:
            case "delta":
                joined = {"pieces": event.pieces} if event.pieces > 1 else {}
                return event.kind, {"text": event.text, **joined}
            case "started":
                return event.kind, {"turn_id": live.turn.id, "attempt": live.attempts}
            case "end":
                document = documents.ended(self._service, live)
                return ("done" if "response" in document else "error"), document
            case _:
                return event.kind, documents.standing(live)


class _Clock:
    """One timer for a stream: says when a comment is due, and ends a send that takes too long."""

    def __init__(self, comment_s: float, limit: asyncio.Timeout, news: asyncio.Event) -> None:
        self._comment_s = comment_s
        self._limit = limit
        self._news = news
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._is_sending = False
        self._timer = self._loop.call_later(self._next_s(), self._tick)

    @property
    def comment_is_due(self) -> bool:
        return self._loop.time() - self._since >= self._comment_s

    def sending(self) -> None:
        self._since, self._is_sending = self._loop.time(), True

    def sent(self) -> None:
        self._since, self._is_sending = self._loop.time(), False

    def stop(self) -> None:
        self._timer.cancel()

    def _next_s(self) -> float:
        due_s = PATIENCE_S if self._is_sending else self._comment_s
        # At least a moment, or rounding could have it tick for ever in one instant.
        return max(self._since + due_s - self._loop.time(), 0.001)

    def _tick(self) -> None:
        if self._is_sending and self._loop.time() - self._since >= PATIENCE_S:
            self._limit.reschedule(self._loop.time())
            return
        if not self._is_sending and self.comment_is_due:
            self._news.set()
        self._timer = self._loop.call_later(min(self._next_s(), self._comment_s), self._tick)
