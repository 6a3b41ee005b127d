"""`GET /view`: what its caller sees, once or for as long as it reads.

Whoever looks once is a reader too, who leaves after the first text: so asking again and again
costs the server no more than a stream.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner.api.body import ClientLeft, until_left
from runner.api.exchange import Answer, Receive, Request, Response, Send
from runner.api.problems import VIEW_FULL, RequestError
from runner.api.stream import HEADERS, PATIENCE_S, data_of
from runner.turns.service import Service
from runner.web.reader import Reader
from runner.web.sight import Sight
from runner.web.view import MOST_READERS, Pace, View

PRIVATE = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))

FULL = f"A caller may have {MOST_READERS} readers at a time. Close one, or ask again later."

RETRY = b"retry: 1000\n\n"


class Views:
    """One for each sight that somebody has."""

    def __init__(self) -> None:
        self._views: dict[Sight, View] = {}
        self._paces: defaultdict[Sight, Pace] = defaultdict(Pace)

    async def view(self, service: Service, request: Request) -> Response:
        """A stream for who accepts one, otherwise what is seen now."""
        sight = Sight.of(request.caller, service.settings.server)
        if sight in self._views and self._views[sight].is_full:
            raise RequestError(VIEW_FULL, FULL)
        if service.system is not None:
            await service.system.freshened()
        if b"text/event-stream" not in request.headers.get(b"accept", b"").lower():
            headers = ("content-type", "application/json"), *PRIVATE
            return Answer(200, headers, data_of(await self._first_text(service, sight)))
        if request.scope["method"] == "HEAD":
            return Answer(200, HEADERS)
        return ViewStream(self, service, sight)

    @contextmanager
    def reading(
        self, service: Service, sight: Sight, wake: Callable[[], object]
    ) -> Generator[Reader]:
        view = self._views.get(sight)
        if view is None:
            view = self._views[sight] = View(service, sight, self._paces[sight], self._views)
        reader = view.join(wake)
        try:
            yield reader
        finally:
            if view.leave(reader):
                del self._views[sight]

    async def _first_text(self, service: Service, sight: Sight) -> bytes:
        news = asyncio.Event()
        with self.reading(service, sight, news.set) as reader:
            while not (text := reader.take()):
                await news.wait()
                news.clear()
        return text


@dataclass(slots=True, eq=False)
class ViewStream:
    """A response. It ends when its reader leaves, takes nothing for long, or the server ends."""

    views: Views
    service: Service
    sight: Sight
    _wakeup: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def __call__(self, send: Send, receive: Receive) -> None:
        departure = asyncio.get_running_loop().create_task(until_left(receive))
        departure.add_done_callback(lambda _: self._wakeup.set())
        try:
            with self.views.reading(self.service, self.sight, self._wakeup.set) as reader:
                await self._send_all(send, reader, departure)
        except TimeoutError as error:
            raise ClientLeft from error
        finally:
            departure.cancel()

    async def _send_all(self, send: Send, reader: Reader, departure: asyncio.Future[None]) -> None:
        headers = [(name.encode(), value.encode()) for name, value in HEADERS]
        await _within(send({"type": "http.response.start", "status": 200, "headers": headers}))
        text = RETRY
        while text or not reader.is_over:
            if text:
                await _within(send({"type": "http.response.body", "body": text, "more_body": True}))
            text = await self._next(reader)
            if departure.done():
                raise ClientLeft
        await _within(send({"type": "http.response.body", "body": b""}))

    async def _next(self, reader: Reader) -> bytes:
        """What is new, as soon as there is something; after a long silence, a comment."""
        self._wakeup.clear()
        text = reader.take()
        if text or reader.is_over:
            return text
        try:
            async with asyncio.timeout(self.service.settings.server.stream_comment_s):
                await self._wakeup.wait()
        except TimeoutError:
            return b":\n\n"
        return reader.take()


async def _within(sending: Awaitable[None]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await sending
