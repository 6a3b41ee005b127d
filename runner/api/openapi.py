"""The description of the HTTP interface: OpenAPI 3.1, made from the table of routes.

A route names the function that describes it: from the settings to an OpenAPI operation.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runner import __version__
from runner.api import examples
from runner.api.exchange import Answer, Headers, Request, Response
from runner.api.names import known_query, parse_query
from runner.api.operations import Describe, Operation, parameter
from runner.api.problems import as_answer
from runner.api.schemas import TEXT, all_schemas, conversation_id
from runner.settings import Settings
from runner.turns.service import Service

Handler = Callable[[Service, Request], Awaitable[Response]]
"""Takes a request and gives an answer. Raises RequestError, TurnError, ClientLeft."""

IN_PATH = re.compile(r"{(\w+)}")

Refuse = Callable[[Mapping[str, Any], Headers], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    is_open  it is answered without a token, as probes and readers of the docs have none.
    any_query  parameters that it does not take are ignored: monitors and other clients add some.
    count    how many it gives where `?count` is not there; None where it takes none.
    query    the names of its other parameters.
    refuse   makes a problem document and headers into a response.
    token    the name of a header, in lower case, that may have the token too.
    """

    method: str
    path: str
    handler: Handler
    describe: Describe
    is_open: bool = False
    count: int | None = None
    query: tuple[str, ...] = ()
    any_query: bool = False
    refuse: Refuse = as_answer
    token: bytes = b""

    def parse_query(self, query: bytes) -> dict[str, str]:
        """Its parameters. Raises RequestError for those that it does not take."""
        if not query or self.is_open:
            return {}
        known = (*self.query, *(() if self.count is None else ("count",)))
        return known_query(query, known) if self.any_query else parse_query(query, known)


def describe(routes: Iterable[Route], settings: Settings) -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Operation]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation_of(route, settings)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Turnline",
            "version": __version__,
            "description": "One agent behind HTTP, one turn at a time in each conversation.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}] if settings.server.tokens else [],
        "paths": paths,
        "components": {
            "schemas": all_schemas(settings.server),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation_of(route: Route, settings: Settings) -> Operation:
    operation = route.describe(settings)
    own = conversation_id(settings.server), "The conversation."
    turn_id = {**TEXT, "examples": [examples.TURN_ID]}
    other = TEXT, "As this client calls it."
    known = {"turn_id": (turn_id, "The id that the turn was given."), "conversation_id": own}
    parameters = [
        *(parameter("path", name, *known.get(name, other)) for name in IN_PATH.findall(route.path)),
        *(parameter("query", name, *known.get(name, other)) for name in route.query),
    ]
    if route.count is not None:
        digits = {"type": "string", "pattern": "^[0-9]{1,9}$", "default": str(route.count)}
        parameters.append(parameter("query", "count", digits, "How many to give; 0 means all."))
    operation["parameters"] = [*parameters, *operation["parameters"]]
    if route.is_open:
        operation["security"] = []
        for status in ("401", "422"):
            operation["responses"].pop(status, None)
    needs_token = bool(settings.server.tokens) and not route.is_open
    if "x-codeSamples" not in operation:
        samples = examples.samples(route.method, route.path, needs_token=needs_token)
        operation["x-codeSamples"] = samples
    return {"operationId": route.handler.__name__, **operation}
