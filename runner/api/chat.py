"""`POST /chat`: one turn, from what is asked to the answer.

This is plain ASGI, in front of Quart. It answers most requests, so the cost of
routing and request objects counts here; and only here the connection matters
while the answer is being made. Quart's own handling of a client that leaves
differs between its versions (0.22 cancels the handler, 0.23 raises) and loses
some departures on Python 3.11; `receive` says it in one way everywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from runner.api import documents
from runner.api.asgi import Receive, Send, send_answer
from runner.api.body import ClientLeft, until_left
from runner.api.problems import KEY_REUSED, Answer, Headers, RequestError, turn_problem
from runner.api.stream import send_events
from runner.callers import split
from runner.service import Service
from runner.turns.asking import Asking
from runner.turns.ledger import KeyReused
from runner.turns.live import LiveTurn
from strategies import TurnError


async def answer_chat(service: Service, asking: Asking, receive: Receive, send: Send) -> None:
    """Submit the turn and answer as was asked for. Raises RequestError, ClientLeft."""
    try:
        live, again = await service.submit(asking)
    except TurnError as error:
        await send_answer(send, _refusal(service, asking, error))
        return
    except KeyReused as error:
        raise RequestError(KEY_REUSED, str(error)) from error
    headers = _told(asking, again)
    with _waiting(service, asking, live):
        if asking.stream and await _is_promised(asking, live):
            await send_events(service, live, "", receive, send, headers)
        else:
            answer = await _answer(service, asking, live, receive, headers)
            await send_answer(send, answer)


@contextmanager
def _waiting(service: Service, asking: Asking, live: LiveTurn) -> Generator[None]:
    """While a client waits. The server under us may end the request too: that is a departure."""
    live.waiters += 1
    try:
        yield
    finally:
        live.waiters -= 1
        service.departed(live, asking.on_disconnect)


async def _is_promised(asking: Asking, live: LiveTurn) -> bool:
    """Write the turn down if it is to be, before a word about it; False where that failed."""
    if live.written is None:
        return True
    if not await asyncio.shield(live.written):
        return False
    live.detached = live.detached or asking.respond_async
    return True


async def _answer(
    service: Service, asking: Asking, live: LiveTurn, receive: Receive, headers: Headers
) -> Answer:
    at_once = asking.respond_async and asking.wait_s is None
    await ended_or_left(live, receive, 0.0 if at_once else asking.wait_s)
    if live.ending is None and live.written is not None and await asyncio.shield(live.written):
        live.detached = True
        return documents.accepted(live, headers)
    await ended_or_left(live, receive, None)
    return documents.ended(service, live, headers)


async def ended_or_left(live: LiveTurn, receive: Receive, limit_s: float | None) -> None:
    """Wait until the turn has ended, for `limit_s` at most. Raises ClientLeft."""
    if live.ending is not None or limit_s == 0:
        return
    departure = asyncio.get_running_loop().create_task(until_left(receive))
    try:
        await asyncio.wait(
            (live.settled, departure), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
        )
        if departure.done() and live.ending is None:
            departure.result()  # Raises what `receive` raised, if it did.
            raise ClientLeft
    finally:
        departure.cancel()


def _told(asking: Asking, again: bool) -> Headers:
    """What of the client's wishes was heeded."""
    applied = (("preference-applied", asking.applied),) if asking.applied else ()
    return (*applied, ("idempotent-replayed", "true")) if again else applied


def _refusal(service: Service, asking: Asking, error: TurnError) -> Answer:
    members = {
        "turn_id": asking.turn.id,
        "conversation_id": split(asking.turn.conversation)[1],
        "queue_depth": service.load().waiting,
    }
    return turn_problem(error, members)
