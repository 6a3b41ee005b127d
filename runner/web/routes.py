"""The routes of the view: `GET /view` and `GET /view/settings`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field

from runner.api import operations
from runner.api import problems as p
from runner.api.body import ClientLeft, until_left
from runner.api.exchange import Receive, Request, Response, Send, json_answer
from runner.api.openapi import Route
from runner.api.problems import RequestError
from runner.api.stream import HEADERS, PATIENCE_S
from runner.config.masking import shown
from runner.settings import FIELDS, Settings
from runner.turns.service import Service
from runner.web.sight import Sight
from runner.web.view import Reader, View

RETRY = b"retry: 1000\n\n"


def routes(settings: Settings) -> tuple[Route, ...]:
    """Those of the page; none where it is off."""
    if not settings.observability.page:
        return ()
    return (
        Route("GET", "/view", Views().view,
              operations.page("What happens now, as the page shows it", "text/event-stream"),
              any_query=True),
        Route("GET", "/view/settings", effective_settings,
              operations.page("The settings in effect", "application/json"), any_query=True),
    )  # fmt: skip


class Views:
    """One for each sight that somebody has."""

    def __init__(self) -> None:
        self._views: dict[Sight, View] = {}

    async def view(self, service: Service, request: Request) -> Response:
        """`GET /view`: a stream for who accepts one, else what is seen now."""
        sight = Sight.of(request.caller, service.settings.server)
        if b"text/event-stream" not in request.headers.get(b"accept", b"").lower():
            return json_answer(View(service, sight).whole())
        return ViewStream(self, service, sight)

    def join(self, service: Service, sight: Sight, wake: asyncio.Event) -> tuple[View, Reader]:
        view = self._views.get(sight)
        if view is None:
            view = self._views[sight] = View(service, sight)
        return view, view.join(wake.set)

    def leave(self, sight: Sight, view: View, reader: Reader) -> None:
        if view.leave(reader):
            del self._views[sight]


@dataclass(slots=True, eq=False)
class ViewStream:
    """A response: all that its reader may see, as it happens, for as long as it reads."""

    views: Views
    service: Service
    sight: Sight
    _wakeup: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def __call__(self, send: Send, receive: Receive) -> None:
        departure = asyncio.get_running_loop().create_task(until_left(receive))
        departure.add_done_callback(lambda _: self._wakeup.set())
        view, reader = self.views.join(self.service, self.sight, self._wakeup)
        try:
            await self._send_all(send, reader, departure)
        except TimeoutError as error:
            raise ClientLeft from error
        finally:
            departure.cancel()
            self.views.leave(self.sight, view, reader)

    async def _send_all(self, send: Send, reader: Reader, departure: asyncio.Future[None]) -> None:
        headers = [(name.encode(), value.encode()) for name, value in HEADERS]
        await _within(send({"type": "http.response.start", "status": 200, "headers": headers}))
        text = RETRY + reader.take()
        while not (departure.done() or reader.is_over):
            await _within(send({"type": "http.response.body", "body": text, "more_body": True}))
            self._wakeup.clear()
            text = reader.take()
            if not text:
                await self._wait()
                text = reader.take() or b":\n\n"
        if departure.done():
            raise ClientLeft
        await _within(send({"type": "http.response.body", "body": b""}))

    async def _wait(self) -> None:
        """For news, or until the silence is long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.service.settings.server.stream_comment_s):
                await self._wakeup.wait()


async def _within(sending: Awaitable[None]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await sending


async def effective_settings(service: Service, request: Request) -> Response:
    """`GET /view/settings`: every setting as it is in effect, secrets masked."""
    if not Sight.of(request.caller, service.settings.server).everyone:
        raise RequestError(p.NOT_FOUND, "Only operators see the settings.")
    values = service.settings.model_dump()
    listed = [
        {
            "table": path[0],
            "key": path[1],
            "value": shown(path, values[path[0]][path[1]]),
            "default": shown(path, knob.default),
            "about": knob.description,
        }
        for path, knob in FIELDS.items()
        if len(path) == 2
    ]
    return json_answer({"settings": listed})
