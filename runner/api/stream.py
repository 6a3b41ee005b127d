"""Server-sent events (WHATWG HTML, 9.2): a turn as it happens, from wherever a client left off."""

from __future__ import annotations

import asyncio
import json

from runner.api import documents
from runner.api.asgi import Receive, Send, send_answer
from runner.api.body import ClientLeft, until_left
from runner.api.problems import Answer, Headers, to_json
from runner.service import Service
from runner.turns.events import Cursor, Event
from runner.turns.live import LiveTurn

PATIENCE_S = 30.0
"""A reader that takes nothing for so long is let go; it may resume."""

HEADERS = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),
)


async def resume_events(
    service: Service, live: LiveTurn, last_event_id: str, receive: Receive, send: Send
) -> None:
    """`GET /turns/{id}/events`. A client that has seen the end is told not to come again."""
    if Cursor(last_event_id).at_end and live.ending is not None:
        await send_answer(send, Answer(204, (), b""))
    else:
        await send_events(service, live, last_event_id, receive, send)


async def send_events(
    service: Service,
    live: LiveTurn,
    last_event_id: str,
    receive: Receive,
    send: Send,
    headers: Headers = (),
) -> None:
    """Send the events after this id until the turn's end. Raises ClientLeft."""
    cursor = Cursor(last_event_id)
    comment_s = service.settings.server.stream_comment_s
    departure = asyncio.get_running_loop().create_task(until_left(receive))
    service.book.watch(live)
    try:
        await _send(send, _start(live, headers))
        while not cursor.at_end:
            news = b"".join(_encode(service, live, event) for event in cursor.all_new(live))
            if news:
                await _send(send, _body(news))
            elif not await _something_new(live, departure, comment_s):
                await _send(send, _body(b":\n\n"))
            if departure.done():
                raise ClientLeft
        await _send(send, {"type": "http.response.body", "body": b""})
    finally:
        service.book.unwatch(live)
        departure.cancel()


async def _something_new(live: LiveTurn, departure: asyncio.Task[None], limit_s: float) -> bool:
    """Wait for news of the turn or of its client; False where there was none for so long."""
    news = (live.pulse.next(), departure)
    done, _ = await asyncio.wait(news, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


async def _send(send: Send, message: dict[str, object]) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await send(message)
    except TimeoutError as error:
        raise ClientLeft from error


def _start(live: LiveTurn, headers: Headers) -> dict[str, object]:
    named = (*HEADERS, ("location", f"/turns/{live.turn.id}"), *headers)
    encoded = [(name.encode(), value.encode()) for name, value in named]
    return {"type": "http.response.start", "status": 200, "headers": encoded}


def _body(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _encode(service: Service, live: LiveTurn, event: Event) -> bytes:
    kind, content = _describe(service, live, event)
    # JSON has no line break of its own, so one data line is enough.
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event.id.encode(), kind.encode(), to_json(content))


def _describe(service: Service, live: LiveTurn, event: Event) -> tuple[str, documents.Document]:
    match event.kind:
        case "queued" | "position":
            return event.kind, documents.queued(live)
        case "started":
            return event.kind, {"turn_id": live.turn.id, "attempt": live.attempts}
        case "delta":
            joined = {"pieces": event.pieces} if event.pieces > 1 else {}
            return event.kind, {"text": event.text, **joined}
        case "end":
            answer = documents.ended(service, live)
            return "done" if answer.status == 200 else "error", json.loads(answer.body)
