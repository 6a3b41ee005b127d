"""`POST /chat`: one turn, from the parsed body to the answer.

This is plain ASGI, in front of Quart. It answers most requests, so the cost of
routing and request objects counts here; and only here the connection matters
while the answer is being made. Quart's own handling of a client that leaves
differs between its versions (0.22 cancels the handler, 0.23 raises) and loses
some departures on Python 3.11; `receive` says it in one way everywhere.
"""

from __future__ import annotations

import asyncio

from runner.api.asgi import Receive
from runner.api.body import ClientLeft
from runner.api.problems import Answer, json_answer, turn_problem
from runner.service import Service
from runner.settings import OnDisconnect
from strategies import Reply, State, Ticket, Turn, TurnCancelled, TurnError


async def answer_turn(service: Service, turn: Turn, receive: Receive) -> Answer:
    """Submit the turn and wait for its end. Raises ClientLeft when nobody is left to be told."""
    try:
        ticket = service.submit(turn)
    except TurnError as error:
        return _problem(service, turn, error)
    try:
        reply = await _reply_or_departure(ticket, receive)
    except ClientLeft:
        _depart(service, ticket)
        raise
    except TurnError as error:
        service.ended(ticket, error)
        return _problem(service, turn, error)
    except asyncio.CancelledError:
        # The server under us ends the request (Hypercorn, when it closes): that is a departure.
        _depart(service, ticket)
        raise
    service.ended(ticket)
    return _success(service, ticket, reply)


async def _reply_or_departure(ticket: Ticket, receive: Receive) -> Reply:
    loop = asyncio.get_running_loop()
    reply = loop.create_task(ticket.reply())
    departure = loop.create_task(_departure(receive))
    try:
        await asyncio.wait((reply, departure), return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            departure.result()  # Raises what `receive` raised, if it did.
            raise ClientLeft
        return reply.result()
    finally:
        reply.cancel()
        departure.cancel()


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _depart(service: Service, ticket: Ticket) -> None:
    """Do with the turn of a client that left what `on_disconnect` says; then see it out."""
    policy: OnDisconnect = service.settings.strategy.on_disconnect
    drops = policy == "cancel" or (policy == "drop-waiting" and ticket.state is State.WAITING)
    if drops and ticket.cancel():
        service.ended(ticket, TurnCancelled("The client left."))
    else:
        service.leave_behind(ticket)


def _success(service: Service, ticket: Ticket, reply: Reply) -> Answer:
    return json_answer(
        200,
        {
            "status": "success",
            "response": reply.text,
            "agent_id": service.settings.agent.id,
            "conversation_id": ticket.turn.conversation,
            "turn_id": ticket.turn.id,
            "turn": reply.number,
            "waited_ms": round(ticket.waited_s * 1000),
            "ran_ms": round(ticket.ran_s * 1000),
        },
    )


def _problem(service: Service, turn: Turn, error: TurnError) -> Answer:
    members = {
        "turn_id": turn.id,
        "conversation_id": turn.conversation,
        "queue_depth": service.load().waiting,
    }
    exposed = service.settings.agent.expose_agent_errors
    return turn_problem(error, members, expose_agent_errors=exposed)
