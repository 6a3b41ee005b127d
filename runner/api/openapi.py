"""The description of the HTTP interface: OpenAPI 3.1, made from the table of routes.

A route names the function that describes it: from the bounds to an OpenAPI operation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from runner import __version__
from runner.api import documents
from runner.api import problems as p
from runner.api.exchange import Request, Response
from runner.api.problems import Cause, type_of
from runner.api.schemas import TEXT, Bounds, Schema, all_schemas, conversation_id, ref
from runner.store.base import StoreUnavailable
from runner.turns.service import Service
from strategies import Draining

DRAINING = p.TURN_CAUSES[Draining]
REFUSED_OR_FAILED = (*p.TURN_CAUSES.values(), p.KEY_REUSED)

ANYWHERE = (
    p.MALFORMED_REQUEST, p.UNAUTHORIZED, p.METHOD_NOT_ALLOWED, p.BODY_TIMEOUT, p.TOO_LARGE,
    p.INTERNAL, p.SERVER_FULL,
)  # fmt: skip
"""What any request may be answered: its body is read, and its caller known, before all else."""

STORE = p.TURN_CAUSES[StoreUnavailable]

EVENTS = """A stream of events, each with an `id`:
`queued` and `position` {turn_id, position, eta_s, eta_range_s}, `started` {turn_id, attempt},
`delta` {text, and pieces where several were joined for a slow reader}, and at the end `done`
(the body of the 200) or `error` (the problem document). After a restart of the server `started`
comes again with the next attempt, and the text begins anew. A comment now and then keeps
proxies awake."""

Handler = Callable[[Service, Request], Awaitable[Response]]
"""Takes a request and gives an answer. Raises RequestError, TurnError, ClientLeft."""

Operation = dict[str, Any]
Describe = Callable[[Bounds], Operation]


@dataclass(frozen=True, slots=True)
class Route:
    """`is_open`: it is answered without a token, as probes and readers of the docs have none."""

    method: str
    path: str
    handler: Handler
    describe: Describe
    is_open: bool = False


def describe(routes: Iterable[Route], bounds: Bounds) -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Operation]] = {}
    for route in routes:
        operation = route.describe(bounds)
        if route.is_open:  # Asked for without a token.
            operation["security"] = []
            operation["responses"].pop("401")
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Turnline",
            "version": __version__,
            "description": "One agent behind HTTP, one turn at a time in each conversation.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}] if bounds.with_tokens else [],
        "paths": paths,
        "components": {
            "schemas": all_schemas(bounds),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


# Parameters, made for the settings' bounds.

Parameter = Callable[[Bounds], Schema]


def turn_id(bounds: Bounds) -> Schema:
    return _parameter("path", "turn_id", TEXT, "The id that the turn was given.")


def conversation(bounds: Bounds) -> Schema:
    return _parameter("path", "conversation_id", conversation_id(bounds), "The conversation.")


def asked_conversation(bounds: Bounds) -> Schema:
    return _parameter("query", "conversation_id", conversation_id(bounds), "The conversation.")


def count(default: int) -> Parameter:
    digits = {"type": "string", "pattern": "^[0-9]{1,9}$", "default": str(default)}
    return lambda bounds: _parameter("query", "count", digits, "How many to give; 0 means all.")


# Operations.


def plain(
    summary: str, document: type | None, *causes: Cause, parameters: tuple[Parameter, ...] = ()
) -> Describe:
    """An operation that answers 200 with this document, or 204 with none."""

    def made(bounds: Bounds) -> Operation:
        answers = _json(200, document) if document else {"204": {"description": "It is done."}}
        return _operation(summary, answers, [one(bounds) for one in parameters], *causes)

    return made


def page(summary: str, media_type: str) -> Describe:
    def made(bounds: Bounds) -> Operation:
        anything: Schema = {}
        answer = {"description": "The text.", "content": {media_type: {"schema": anything}}}
        return _operation(summary, {"200": answer}, [])

    return made


def chat(bounds: Bounds) -> Operation:
    """`POST /chat`."""
    whole: dict[str, Any] = {
        "description": "The reply.",
        "headers": {**_applied(), "Idempotent-Replayed": _header("true: answered before")},
        "content": {
            "application/json": {"schema": ref(documents.Reply)},
            "text/event-stream": {"schema": {"type": "string", "description": EVENTS}},
        },
    }
    later = {
        "description": "The turn was accepted and goes on.",
        "headers": {
            **_applied(),
            "Location": _header("/turns/{turn_id}"),
            "Idempotent-Replayed": _header("true: accepted before"),
        },
        "content": {"application/json": {"schema": ref(documents.Accepted)}},
    }
    operation = _operation(
        "Send a message and get the agent's reply",
        {"200": whole, "202": later},
        _chat_headers(bounds),
        p.MALFORMED_JSON, p.NOT_JSON, p.WRONG_FIELD, *REFUSED_OR_FAILED,
    )  # fmt: skip
    operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatBody"}}},
    }
    return operation


def _chat_headers(bounds: Bounds) -> list[Schema]:
    key = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
    headers = [
        _parameter(
            "header", "Prefer", TEXT,
            "respond-async: answer 202 at once. wait=N: the same after N seconds. "
            "on-disconnect=drop-waiting, continue or cancel: what becomes of the turn "
            "when this client leaves.",
        ),
        _parameter(
            "header", "Idempotency-Key", key,
            "The same key and message are one turn: attached to while it waits or runs, "
            "replayed when it is done. Counts within its conversation.",
        ),
        _parameter(
            "header", "Priority", TEXT,
            "u=0 (most urgent) to u=7 (RFC 9218). Waiting makes a turn more urgent.",
        ),
        _parameter(
            "header", "Turn-Deadline-Ms", {"type": "string", "pattern": "^[0-9]{1,12}$"},
            "Refuse or stop the turn after so many milliseconds.",
        ),
    ]  # fmt: skip
    if bounds.per_turn:
        names = {"type": "string", "enum": [*bounds.per_turn]}
        text = "What to do where the conversation is busy, in place of the server's strategy."
        headers.append(_parameter("header", "Turn-Strategy", names, text))
    return headers


def events(bounds: Bounds) -> Operation:
    """`GET /turns/{turn_id}/events`."""
    last = _parameter("header", "Last-Event-ID", TEXT, "Go on after this event.")
    stream = {"schema": {"type": "string", "description": EVENTS}}
    answers = {
        "200": {
            "description": "The events.",
            "headers": {"Location": _header("/turns/{turn_id}")},
            "content": {"text/event-stream": stream},
        },
        "204": {"description": "You have seen the end; do not come again."},
    }
    return _operation("Read a turn's events", answers, [turn_id(bounds), last], p.NO_TURN, STORE)


# The parts of an operation.


def _operation(
    summary: str, answers: dict[str, Any], parameters: list[Schema], *causes: Cause
) -> Operation:
    problems = _problems(*causes, *ANYWHERE)
    operation: Operation = {"summary": summary, "responses": {**answers, **problems}}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _problems(*causes: Cause) -> dict[str, Any]:
    """A response for each status, with the types that it may have."""
    by_status: dict[int, list[Cause]] = {}
    for cause in dict.fromkeys(causes):
        by_status.setdefault(cause.status, []).append(cause)
    return {str(status): _problem(status, found) for status, found in sorted(by_status.items())}


def _problem(status: int, causes: list[Cause]) -> dict[str, Any]:
    types = {"properties": {"type": {"enum": [type_of(cause) for cause in causes]}}}
    headers = {"Turn-Outcome": _header("not_started, rolled_back or unknown", required=True)}
    if status in p.RETRY_STATUSES:
        headers["Retry-After"] = _header("seconds, by depth and measured service time")
    if status == p.UNAUTHORIZED.status:
        headers["WWW-Authenticate"] = _header("Bearer", required=True)
    if status == p.METHOD_NOT_ALLOWED.status:
        headers["Allow"] = _header("the methods of this path", required=True)
    return {
        "description": ". ".join(f"{cause.title} ({cause.name})" for cause in causes) + ".",
        "headers": headers,
        "content": {p.MEDIA_TYPE: {"schema": {"allOf": [ref(documents.Problem), types]}}},
    }


def _json(status: int, document: type) -> dict[str, Any]:
    content = {"application/json": {"schema": ref(document)}}
    return {str(status): {"description": document.__name__, "content": content}}


def _applied() -> dict[str, Any]:
    return {"Preference-Applied": _header("what of Prefer is heeded")}


def _header(description: str, *, required: bool = False) -> Schema:
    return {"description": description, "required": required, "schema": TEXT}


def _parameter(where: str, name: str, schema: Schema, description: str) -> Schema:
    return {
        "in": where,
        "name": name,
        "required": where == "path",
        "schema": schema,
        "description": description,
    }
