"""`POST /view/side-by-side`: the same five messages under each strategy, and under none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from runner.api import problems as p
from runner.api.body import ClientLeft, check_media_type, parse_object, until_left
from runner.api.exchange import Receive, Request, Response, Send, to_json
from runner.api.names import as_pointer
from runner.api.openapi import Route
from runner.api.operations import streamed
from runner.api.problems import problem, wrong_field
from runner.api.stream import HEADERS, event
from runner.tasks import spawn
from runner.turns.observer import Observer
from runner.turns.service import Service
from runner.web import sandbox
from runner.web.verdict import verdict
from strategies import Draining

MOST_S = 9.0
"""For all of it, the pauses of its client too."""

USUAL_S = len(sandbox.MESSAGES) * (sandbox.GAP_S + sandbox.WORK_S)
"""What it takes: one arrangement or another answers the messages one by one."""

KEPT_S = USUAL_S + 2.0
"""For so long the place of a caller who was refused is kept, after it last asked."""

BUSY = "The strategies are being shown to somebody. Ask again when that is over."

EVENTS = """Events: `begin` {arrangements: [{name, about}], messages}, `lane` {arrangement, sender,
state, at, position?, told?, status?} as things happen, `end` {arrangement, history, verdict} of
each arrangement, and `done` {}. `at` is in seconds since the beginning, `told` what the sender was
told, with the HTTP `status`. A stream without `done` was cut short by the server's shutdown."""

HEAD = [(name.encode(), value.encode()) for name, value in HEADERS]

DESCRIBED = streamed(
    "See the same five messages under each strategy, and under none",
    EVENTS,
    p.MALFORMED_JSON, p.BODY_TIMEOUT, p.TOO_LARGE, p.NOT_JSON, p.VIEW_BUSY, p.DRAINING,
    body=True,
)  # fmt: skip

Told = Callable[[str, object], None]
"""Given an event's kind and its data."""


def routes() -> tuple[Route, ...]:
    return (Route("POST", "/view/side-by-side", SideBySide().side_by_side, DESCRIBED),)


class SideBySide:
    """What one server shows, to one client at a time, by turns where several callers ask.

    Who was refused is next for a while, in the order of asking: or one caller could have the only
    place again and again.
    """

    def __init__(self) -> None:
        self._refused: dict[str, float] = {}
        self._began_at = 0.0
        self._run: asyncio.Task[None] | None = None

    async def side_by_side(self, service: Service, request: Request) -> Response:
        check_media_type(request.headers.get(b"content-type", b""))
        for name in parse_object(request.body, service.settings.server.max_json_depth):
            raise wrong_field(f"/{as_pointer(name)}", "There are no fields: send {}.")
        if not service.ready:
            raise Draining
        return partial(self._show, service, request.caller)

    async def _show(self, service: Service, caller: str, send: Send, receive: Receive) -> None:
        now = asyncio.get_running_loop().time()
        if not self._is_next(caller, now):
            left_s = max(self._began_at + USUAL_S - now, 0.0)
            await problem(p.VIEW_BUSY, BUSY, retry_after_s=left_s)(send, receive)
            return
        showing = Showing(service)
        self._began_at, self._run = now, showing.begin()
        await showing.respond(self._run, send, receive)

    def _is_next(self, caller: str, now: float) -> bool:
        refused = {one: at for one, at in self._refused.items() if at > now - KEPT_S}
        refused[caller] = now  # Where it was, or behind all others.
        self._refused = refused
        is_free = self._run is None or self._run.done()
        if is_free and next(iter(refused)) == caller:
            del refused[caller]
            return True
        return False


async def show(told: Told) -> None:
    """Tell of each arrangement as it goes on, all at once."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    arrangements = [{"name": name, "about": about} for name, about in sandbox.ABOUT.items()]
    told("begin", {"arrangements": arrangements, "messages": sandbox.MESSAGES})

    async def lane(arrangement: str) -> None:
        def tell(sender: int, now: sandbox.Standing) -> None:
            at = round(loop.time() - began, 3)
            told("lane", {"arrangement": arrangement, "sender": sender, "at": at, **now})

        history = await sandbox.send_all(arrangement, tell)
        found = await verdict(sandbox.MESSAGES, history)
        told("end", {"arrangement": arrangement, "history": history, "verdict": found})

    async with asyncio.TaskGroup() as lanes:
        for name in sandbox.ABOUT:
            lanes.create_task(lane(name))
    told("done", {})


class Showing(Observer):
    """A response: all of it as it happens, until its end or that of client or server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._news = bytearray()
        self._woken = asyncio.Event()
        self._is_over = False

    def begin(self) -> asyncio.Task[None]:
        """When this is done, nothing of it is left."""
        return spawn(show(self._note), "the side by side view")

    async def respond(self, shown: asyncio.Task[None], send: Send, receive: Receive) -> None:
        departure = spawn(until_left(receive), "the look after a client")
        departure.add_done_callback(lambda _: self._woken.set())
        shown.add_done_callback(lambda _: self.drained())
        self._service.observers.add(self)
        try:
            async with asyncio.timeout(MOST_S):
                await self._send_all(send, departure)
        except TimeoutError as error:
            raise ClientLeft from error
        finally:
            self._service.observers.remove(self)
            departure.cancel()
            shown.cancel()
            await asyncio.wait((departure, shown))

    async def _send_all(self, send: Send, departure: asyncio.Future[None]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEAD})
        while not self._is_over:
            await self._woken.wait()
            self._woken.clear()
            if departure.done():
                raise ClientLeft
            if news := self._take():
                await send({"type": "http.response.body", "body": news, "more_body": True})
        await send({"type": "http.response.body", "body": self._take()})

    def _note(self, kind: str, data: object) -> None:
        self._news += event(to_json(data), kind)
        self._woken.set()

    def _take(self) -> bytes:
        news = bytes(self._news)
        self._news.clear()
        return news

    def drained(self) -> None:
        """The server ends, or all has been shown."""
        self._is_over = True
        self._woken.set()
