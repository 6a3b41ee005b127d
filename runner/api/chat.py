"""`POST /chat`, and a turn's events: what is answered while the turn is still going on."""

from __future__ import annotations

import asyncio
from functools import partial

from runner.api import documents
from runner.api.body import ClientLeft, until_left
from runner.api.exchange import Answer, Headers, Request, Response
from runner.api.handlers import find_turn
from runner.api.parsing import parse_submission
from runner.api.problems import KEY_REUSED, RequestError
from runner.api.stream import EventStream
from runner.turns.events import Cursor
from runner.turns.keys import KeyReused
from runner.turns.live_turn import LiveTurn, wake
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import TurnError


async def chat(service: Service, request: Request) -> Response:
    """Submit the turn, and answer as was asked for."""
    submission = parse_submission(service, request)
    try:
        live, again = await service.submit(submission)
    except TurnError as error:
        return documents.refused(service, submission.turn, error)
    except KeyReused as error:
        raise RequestError(KEY_REUSED, str(error)) from error
    headers = (("preference-applied", submission.applied),) if submission.applied else ()
    if again:
        headers = (*headers, ("idempotent-replayed", "true"))
    # From this moment on, so that it is not deserted when another client of it leaves.
    live.waiters += 1
    response: Response | None = None
    try:
        return (response := await _respond(service, submission, live, request, headers))
    finally:
        if not isinstance(response, EventStream):  # That waits on, and says when it leaves.
            live.leave()


async def _respond(
    service: Service, submission: Submission, live: LiveTurn, request: Request, headers: Headers
) -> Response:
    if submission.stream:
        # Not where the turn was to be written down and could not be: that is a plain refusal.
        if submission.respond_async:
            is_kept = await live.promise()
        else:
            is_kept = live.row is None or await live.is_written()
        if is_kept:
            return EventStream(service, live, Cursor(), headers, is_waiting=True)
    if submission.respond_async or submission.wait_s is not None:
        await _until_ended(live, request, submission.wait_s or 0.0)
        if live.ending is None and await live.promise():
            return documents.accepted(live, headers)
    await _until_ended(live, request, None)
    return documents.ended_answer(service, live, headers)


async def _until_ended(live: LiveTurn, request: Request, limit_s: float | None) -> None:
    """Wait until the turn has ended, for `limit_s` at most. Raises ClientLeft."""
    if live.ending is not None or limit_s == 0:
        return
    ended = live.until_ended()
    loop = asyncio.get_running_loop()
    timer = None if limit_s is None else loop.call_later(limit_s, wake, ended)
    departure = None
    if not live.ends_alike:
        departure = loop.create_task(until_left(request.receive))
        departure.add_done_callback(partial(wake, ended))
    try:
        await ended
        if departure is not None and departure.done() and live.ending is None:
            departure.result()  # Raises what `receive` raised, if it did.
            raise ClientLeft
    finally:
        for one in (ended, timer, departure):
            if one is not None:
                one.cancel()


async def events(service: Service, request: Request) -> Response:
    """`GET /turns/{id}/events`. A client that has seen the end is told not to come again."""
    live = await find_turn(service, request)
    last_id = request.headers.get(b"last-event-id", b"").decode("latin1")
    cursor = Cursor.after(last_id, live)
    if cursor.at_end:
        return Answer(204)
    return EventStream(service, live, cursor)
