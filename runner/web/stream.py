"""`GET /view`: what its caller sees, once or for as long as it reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field

from runner.api.body import ClientLeft, until_left
from runner.api.exchange import Answer, Receive, Request, Response, Send, json_answer
from runner.api.stream import HEADERS, PATIENCE_S
from runner.turns.service import Service
from runner.web.sight import Sight
from runner.web.view import Reader, View

RETRY = b"retry: 1000\n\n"


class Views:
    """One for each sight that somebody has."""

    def __init__(self) -> None:
        self._views: dict[Sight, View] = {}

    async def view(self, service: Service, request: Request) -> Response:
        """A stream for who accepts one, otherwise what is seen now."""
        sight = Sight.of(request.caller, service.settings.server)
        if b"text/event-stream" not in request.headers.get(b"accept", b"").lower():
            return json_answer(View(service, sight).look())
        if request.scope["method"] == "HEAD":
            return Answer(200, HEADERS)
        return ViewStream(self, service, sight)

    def of(self, service: Service, sight: Sight) -> View:
        view = self._views.get(sight)
        if view is None:
            view = self._views[sight] = View(service, sight, self._views)
        return view

    def drop(self, sight: Sight) -> None:
        del self._views[sight]


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
        view = self.views.of(self.service, self.sight)
        reader = view.join(self._wakeup.set)
        try:
            await self._send_all(send, reader, departure)
        except TimeoutError as error:
            raise ClientLeft from error
        finally:
            departure.cancel()
            if view.leave(reader):
                self.views.drop(self.sight)

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
