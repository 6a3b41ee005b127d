"""`GET /history` and `GET /health`: what was said, and how the server is."""

from __future__ import annotations

from quart import Blueprint, Response, request

from runner.api.edge import check_conversation
from runner.api.parsing import parse_conversation, parse_count
from runner.api.problems import (
    TURN_CAUSES,
    json_answer,
    problem,
    turn_problem,
)
from runner.api.responses import caller, to_response
from runner.callers import scoped
from runner.service import Service
from runner.store.base import StoreUnavailable
from strategies import Draining


def make_blueprint(service: Service) -> Blueprint:
    """The routes, bound to the service."""
    routes = Blueprint("status", __name__)

    @routes.get("/history")
    async def history() -> Response:  # pyright: ignore[reportUnusedFunction]
        limits = service.settings.server
        asked = request.args.get("conversation_id")
        conversation = parse_conversation(asked, limits, "?conversation_id")
        check_conversation(service, conversation)
        count = parse_count(request.args.get("count", "1"))
        try:
            own = scoped(caller(), conversation)
            messages = await service.desk.store.messages(own, count)
        except StoreUnavailable as error:
            error.outcome = "not_started"
            return to_response(turn_problem(error))
        return to_response(json_answer(200, {"status": "success", "messages": messages}))

    @routes.get("/health")
    async def health() -> Response:  # pyright: ignore[reportUnusedFunction]
        return to_response(json_answer(200, _health(service)))

    @routes.get("/health/live")
    async def live() -> Response:  # pyright: ignore[reportUnusedFunction]
        return to_response(json_answer(200, {"status": "alive"}))

    @routes.get("/health/ready")
    async def ready() -> Response:  # pyright: ignore[reportUnusedFunction]
        if service.ready:
            return to_response(json_answer(200, {"status": "ready"}))
        detail = "Draining." if service.draining else "Starting."
        return to_response(problem(TURN_CAUSES[Draining], detail))

    return routes


def _health(service: Service) -> dict[str, object]:
    load = service.load()
    return {
        "status": "draining" if service.draining else "healthy",
        "agent_id": service.settings.agent.id,
        "processing": load.running + load.fenced > 0,
        "queue_depth": load.waiting,
        "running": load.running,
        "strategy": service.settings.strategy.name,
        "oldest_wait_s": round(load.oldest_wait_s, 3),
        "fenced": load.fenced,
        "requests_in_flight": service.requests_in_flight,
        "service_s": None if load.service_s is None else round(load.service_s, 6),
        "loop_lag_s": round(service.lag.worst_s, 6),
        "turns": {
            "accepted": load.accepted,
            "refused_at_once": load.refused,
            **{str(state): count for state, count in load.ended.items()},
        },
    }
