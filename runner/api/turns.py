"""`/turns` and `/conversations`: come back to a turn, cancel it, see who stands where."""

from __future__ import annotations

from quart import Blueprint, Response, request

from runner.api import documents
from runner.api.parsing import parse_conversation, parse_count
from runner.api.problems import NO_CONVERSATION, NO_TURN, Answer, RequestError, json_answer
from runner.api.responses import caller, to_response
from runner.callers import owns, scoped, split
from runner.service import Service
from runner.turns.live import LiveTurn
from strategies import State


async def find_turn(service: Service, caller: str, turn_id: str) -> LiveTurn:
    """The caller's turn. Raises RequestError for any other: whether it is, is not told either."""
    live = await service.find(turn_id)
    if live is None or not owns(caller, live.turn.conversation):
        detail = "It was never accepted, ended too long ago, or is not yours."
        raise RequestError(NO_TURN, detail)
    return live


def make_blueprint(service: Service) -> Blueprint:
    """The routes, bound to the service."""
    routes = Blueprint("turns", __name__)

    @routes.get("/turns/<turn_id>")
    async def turn(turn_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        live = await find_turn(service, caller(), turn_id)
        return to_response(json_answer(200, documents.turn(service, live)))

    @routes.delete("/turns/<turn_id>")
    async def cancel(turn_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        live = await find_turn(service, caller(), turn_id)
        await service.cancel(live)
        return to_response(json_answer(200, documents.turn(service, live)))

    @routes.get("/conversations")
    async def conversations() -> Response:  # pyright: ignore[reportUnusedFunction]
        count = parse_count(request.args.get("count", "100"))
        return to_response(json_answer(200, await _conversations(service, caller(), count)))

    @routes.get("/conversations/<own>")
    async def conversation(own: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        conversation = await _known(service, own)
        return to_response(json_answer(200, await _conversation(service, conversation)))

    @routes.delete("/conversations/<own>")
    async def forget(own: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        await service.forget(await _known(service, own))
        return to_response(Answer(204, (), b""))

    return routes


async def _known(service: Service, own: str) -> str:
    limits = service.settings.server
    conversation = scoped(caller(), parse_conversation(own, limits, "?conversation_id"))
    if not service.book.living(conversation) and not await service.desk.store.turns(conversation):
        raise RequestError(NO_CONVERSATION, "Nothing was said in it, or it is not yours.")
    return conversation


async def _conversations(service: Service, caller: str, count: int) -> documents.Document:
    """Those with a turn that lives come first, and then by name."""
    store = service.desk.store
    living = sorted(one for one in set(service.book.conversations()) if owns(caller, one))
    kept, total = await store.conversations(
        f"{caller}/" if caller else "", count and count + len(living), "/"
    )
    turns = {**{one: await store.turns(one) for one in living}, **kept}
    shown = [*living, *(one for one in kept if one not in living)][: count or None]
    listed = [_summary(service, one, turns[one]) for one in shown]
    return {
        "status": "success",
        "conversations": listed,
        "total": total + sum(not turns[one] for one in living),
    }


async def _conversation(service: Service, conversation: str) -> documents.Document:
    turns = await service.desk.store.turns(conversation)
    living = service.book.living(conversation)
    document = _summary(service, conversation, turns)
    document["running"] = next(
        (_present(live) for live in living if live.state is State.RUNNING), None
    )
    waiting = [_present(live) for live in living if live.state is State.WAITING]
    document["waiting"] = sorted(waiting, key=lambda shown: shown["position"] or 0)
    return document


def _summary(service: Service, conversation: str, turns: int) -> documents.Document:
    """`turns` is how many have been kept."""
    living = service.book.living(conversation)
    states = [live.state for live in living]
    return {
        "conversation_id": split(conversation)[1],
        "turns": turns,
        "running": states.count(State.RUNNING),
        "waiting": states.count(State.WAITING),
    }


def _present(live: LiveTurn) -> documents.Document:
    ticket = live.ticket
    assert ticket is not None
    return {
        "turn_id": live.turn.id,
        "position": ticket.position,
        "age_s": round(ticket.waited_s + ticket.ran_s, 3),
        "attempt": live.attempts,
        "priority": live.turn.priority,
    }
