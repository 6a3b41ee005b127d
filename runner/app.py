"""The Quart app around one service. It knows nothing of the server that runs it."""

from __future__ import annotations

from typing import cast

import structlog
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from runner.api import description, status, turns
from runner.api.asgi import App
from runner.api.edge import Edge
from runner.api.problems import (
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    Cause,
    RequestError,
    problem,
    request_problem,
    turn_problem,
)
from runner.api.responses import to_response
from runner.service import Service
from strategies import TurnError

log = structlog.get_logger(__name__)


def make_app(service: Service) -> Quart:
    """The app; serve it with any ASGI server, one process of it."""
    app = Quart("runner", static_folder=None)
    app.register_blueprint(status.make_blueprint(service))
    app.register_blueprint(turns.make_blueprint(service))
    app.register_blueprint(description.make_blueprint(service.settings))
    app.register_error_handler(RequestError, _request_error)
    app.register_error_handler(TurnError, _turn_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)

    # Under our own server both have happened by then, and the second call does nothing.
    @app.before_serving
    async def start() -> None:  # pyright: ignore[reportUnusedFunction]
        await service.open()

    @app.after_serving
    async def stop() -> None:  # pyright: ignore[reportUnusedFunction]
        await service.drain(service.settings.server.drain_s)
        await service.close()

    edge = Edge(service, cast(App, app.asgi_app))
    app.asgi_app = edge  # type: ignore[method-assign, assignment]
    return app


async def _request_error(error: RequestError) -> Response:
    return to_response(request_problem(error))


async def _turn_error(error: TurnError) -> Response:
    return to_response(turn_problem(error))


async def _http_error(error: HTTPException) -> Response:
    known = {cause.status: cause for cause in (NOT_FOUND, METHOD_NOT_ALLOWED)}
    status = error.code or 500
    cause = known.get(status) or Cause(status, error.name.lower().replace(" ", "-"), error.name)
    response = to_response(problem(cause, _detail(status)))
    allow = dict(error.get_headers()).get("Allow")
    if allow is not None:
        response.headers["Allow"] = allow
    return response


def _detail(status: int) -> str:
    return {
        404: "There are /chat, /turns, /conversations, /history and /health; see GET /docs.",
        405: "See the Allow header for the methods of this path.",
    }.get(status, "See the title.")


async def _unexpected(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return to_response(problem(INTERNAL, "The log has the reason.", outcome="unknown"))
