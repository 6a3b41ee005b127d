"""The Quart app around one service. It knows nothing of the server that runs it.

Our own routes are answered in front of Quart (`runner.api.edge`); what Quart is for is
what users add: `app.register_blueprint`, its hooks, its test client. Their routes have
the same tokens, bounds and problem documents.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from quart import Quart, Response, request

from runner.api import documents
from runner.api.edge import Edge
from runner.api.exchange import App, to_json
from runner.api.problems import status_of
from runner.api.routes import Routes
from runner.doors import doors, routes
from runner.telemetry.metrics import Metrics
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.web.routes import routes as of_the_page


def make_app(service: Service) -> Quart:
    """The app; serve it with any ASGI server, one process of it."""
    app = Quart("runner", static_folder=None)
    added = (*routes(service.settings), *of_the_page(service.settings))
    table = Routes(service.settings, added)

    async def answer_to(error: Exception) -> Response:
        answer = table.answer_to(error, request.path)
        return Response(answer.body, status=answer.status, headers=dict(answer.headers))

    if service.settings.observability.metrics:
        service.metrics = Metrics(service)
        service.observers.add(service.metrics)

    app.register_error_handler(Exception, answer_to)

    # Under our own server both have happened by then, and the second call does nothing.
    @app.before_serving
    async def start() -> None:  # pyright: ignore[reportUnusedFunction]
        await service.open()

    @app.after_serving
    async def stop() -> None:  # pyright: ignore[reportUnusedFunction]
        await service.drain(service.settings.server.drain_s)
        await service.close()

    opened = doors(service.settings)
    of_doors = {one.name: partial(one.tell, service) for one in opened if one.tell is not None}
    service.webhooks.tell_as({"": partial(_turn, service), **of_doors})
    service.log_status(status_of)
    edge = Edge(service, cast(App, app.asgi_app), table)
    app.asgi_app = edge  # type: ignore[method-assign, assignment]
    return app


def _turn(service: Service, live: LiveTurn) -> bytes:
    return to_json(documents.turn(service, live))
