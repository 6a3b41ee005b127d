"""From a submission to its response, in anybody's words: what is answered while a turn goes on.

A *form* says how a client is told of a turn; `/chat` has one, and so has each door. What a
client gets, and when, is the same for all of them and stands here.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Protocol

from runner.api.body import ClientLeft, until_left
from runner.api.exchange import Headers, Request, Response
from runner.api.problems import KEY_REUSED, RequestError
from runner.api.stream import EventStream, Words
from runner.turns.events import Cursor
from runner.turns.keys import KeyReused
from runner.turns.live_turn import LiveTurn, wake
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import State


class Form(Protocol):
    """How a client is told of one turn. Implementations need not inherit.

    Each method makes a response of the turn as it is now, with these headers besides.
    """

    def ended(self, live: LiveTurn, headers: Headers) -> Response:
        """It has a reply, or a problem."""
        ...

    def accepted(self, live: LiveTurn, headers: Headers) -> Response:
        """It goes on in the background."""
        ...

    def words(self, live: LiveTurn) -> Words:
        """For its events."""
        ...


async def ask(
    service: Service,
    request: Request,
    submission: Submission,
    form: Form,
    *,
    holds_head: bool = False,
) -> Response:
    """Submit the turn, and answer as was asked for.

    With `holds_head` a stream begins when its turn does, or after `stream_comment_s`: a turn
    that is refused while it waits is then told by a status, by which its client tries again.

    Raises the TurnError of a refusal, RequestError, ClientLeft.
    """
    try:
        live, again = await service.submit(submission)
    except KeyReused as error:
        raise RequestError(KEY_REUSED, str(error)) from error
    headers = (("preference-applied", submission.applied),) if submission.applied else ()
    if again:
        headers = (*headers, ("idempotent-replayed", "true"))
    # From this moment on, so that it is not deserted when another client of it leaves.
    live.waiters += 1
    response: Response | None = None
    try:
        if submission.stream and holds_head:
            await until_begun(service, live, request, service.settings.server.stream_comment_s)
        return (response := await _respond(service, submission, live, request, form, headers))
    finally:
        if not isinstance(response, EventStream):  # That waits on, and says when it leaves.
            live.leave()


async def _respond(
    service: Service,
    submission: Submission,
    live: LiveTurn,
    request: Request,
    form: Form,
    headers: Headers,
) -> Response:
    if submission.stream and not _is_refused(live):
        # Not where the turn was to be written down and could not be: that is a plain refusal.
        if submission.respond_async:
            is_kept = await live.promise()
        else:
            is_kept = live.row is None or await live.is_written()
        if is_kept:
            return EventStream(service, live, Cursor(), form.words(live), headers, is_waiting=True)
    if submission.respond_async or submission.wait_s is not None:
        await until_ended(live, request, submission.wait_s or 0.0)
        if live.ending is None and await live.promise():
            return form.accepted(live, headers)
    await until_ended(live, request, None)
    return form.ended(live, headers)


def _is_refused(live: LiveTurn) -> bool:
    """Whether it has ended without its agent."""
    return live.ending is not None and live.ending.reply is None and not live.attempts


async def until_begun(service: Service, live: LiveTurn, request: Request, limit_s: float) -> None:
    """Wait until the turn waits no more, for `limit_s` at most. Raises ClientLeft."""
    begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def look() -> None:
        if live.state is not State.WAITING:
            wake(begun)

    with service.watching(live, look):
        look()
        if not begun.done():
            await _until(begun, live, request, limit_s)


async def until_ended(live: LiveTurn, request: Request, limit_s: float | None) -> None:
    """Wait until the turn has ended, for `limit_s` at most. Raises ClientLeft."""
    if live.ending is None and limit_s != 0:
        await _until(live.until_ended(), live, request, limit_s)


async def _until(
    event: asyncio.Future[None], live: LiveTurn, request: Request, limit_s: float | None
) -> None:
    loop = asyncio.get_running_loop()
    timer = None if limit_s is None else loop.call_later(limit_s, wake, event)
    departure = None
    if not live.ends_alike:
        departure = loop.create_task(until_left(request.receive))
        departure.add_done_callback(partial(wake, event))
    try:
        await event
        if departure is not None and departure.done() and live.ending is None:
            departure.result()  # Raises what `receive` raised, if it did.
            raise ClientLeft
    finally:
        for one in (event, timer, departure):
            if one is not None:
                one.cancel()
