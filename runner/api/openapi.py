"""The description of the HTTP interface: OpenAPI 3.1, made from the tables that it is served by."""

from __future__ import annotations

from typing import Any

from runner import __version__
from runner.api import problems as p
from runner.api.problems import Cause, type_of
from runner.api.schemas import TEXT, Schema, all_schemas, conversation_id, ref
from runner.settings import Settings
from runner.store.base import StoreUnavailable
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


def describe(settings: Settings) -> dict[str, Any]:
    """The document."""
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
        "paths": _paths(settings),
        "components": {
            "schemas": all_schemas(settings),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths(settings: Settings) -> dict[str, Any]:
    turn_id = _parameter("path", "turn_id", TEXT, "The id that the turn was given.")
    own = conversation_id(settings)
    conversation = _parameter("path", "conversation_id", own, "The conversation.")
    return {
        "/chat": {"post": _chat(settings)},
        "/turns/{turn_id}": {
            "get": _operation("Ask for a turn", _json(200, "Turn"), [turn_id], p.NO_TURN, STORE),
            "delete": _operation(
                "Cancel a turn, waiting or running; one that has ended stays as it is",
                _json(200, "Turn"), [turn_id], p.NO_TURN, STORE,
            ),
        },
        "/turns/{turn_id}/events": {"get": _events(turn_id)},
        "/conversations": {
            "get": _operation(
                "List your conversations, those with a turn that lives first",
                _json(200, "Conversations"), [_count("100")], p.WRONG_FIELD, STORE,
            )
        },
        "/conversations/{conversation_id}": {
            "get": _operation(
                "Who runs and who waits", _json(200, "Conversation"), [conversation],
                p.NO_CONVERSATION, p.WRONG_FIELD, STORE,
            ),
            "delete": _operation(
                "Forget a conversation that is idle",
                {"204": {"description": "It is forgotten."}}, [conversation],
                p.NO_CONVERSATION, p.WRONG_FIELD, p.BUSY, STORE,
            ),
        },
        "/history": {"get": _history(settings)},
        "/health": {"get": _operation("How the server is", _json(200, "Health"), [])},
        "/health/live": {"get": _probe("Whether the process lives", {})},
        "/health/ready": {"get": _probe("Whether turns are taken", _problems(DRAINING))},
        "/openapi.json": {"get": _page("This document", "application/json")},
        "/docs": {"get": _page("The same, to be read", "text/html; charset=utf-8")},
    }  # fmt: skip


def _chat(settings: Settings) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "description": "The reply.",
        "headers": {**_applied(), "Idempotent-Replayed": _header("true: answered before")},
        "content": {
            "application/json": {"schema": ref("Reply")},
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
        "content": {"application/json": {"schema": ref("Accepted")}},
    }
    operation = _operation(
        "Send a message and get the agent's reply",
        {"200": whole, "202": later},
        _chat_headers(settings),
        p.MALFORMED_JSON, p.NOT_JSON, p.WRONG_FIELD, *REFUSED_OR_FAILED,
    )  # fmt: skip
    operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": ref("Message")}},
    }
    return operation


def _chat_headers(settings: Settings) -> list[Schema]:
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
    if settings.strategy.per_turn:
        names = {"type": "string", "enum": [*settings.strategy.per_turn]}
        text = "What to do where the conversation is busy, in place of the server's strategy."
        headers.append(_parameter("header", "Turn-Strategy", names, text))
    return headers


def _events(turn_id: Schema) -> dict[str, Any]:
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
    return _operation("Read a turn's events", answers, [turn_id, last], p.NO_TURN, STORE)


def _history(settings: Settings) -> dict[str, Any]:
    parameters = [
        _count("1"),
        _parameter("query", "conversation_id", conversation_id(settings), "The conversation."),
    ]
    return _operation(
        "What was said", _json(200, "Messages"), parameters, p.WRONG_FIELD, STORE
    )  # fmt: skip


def _count(default: str) -> Schema:
    digits = {"type": "string", "pattern": "^[0-9]{1,9}$", "default": default}
    return _parameter("query", "count", digits, "How many to give; 0 means all.")


def _probe(summary: str, more: dict[str, Any]) -> dict[str, Any]:
    said = {"type": "object", "properties": {"status": TEXT}, "required": ["status"]}
    answer = {"description": "Yes.", "content": {"application/json": {"schema": said}}}
    operation = _operation(summary, {"200": answer}, [])
    operation["responses"].update(more)
    return _open(operation)


def _page(summary: str, media_type: str) -> dict[str, Any]:
    anything: Schema = {}
    answer = {"description": "The text.", "content": {media_type: {"schema": anything}}}
    return _open(_operation(summary, {"200": answer}, []))


def _open(operation: dict[str, Any]) -> dict[str, Any]:
    """Asked for without a token."""
    del operation["responses"]["401"]
    return {**operation, "security": []}


# The parts of an operation.


def _operation(
    summary: str, answers: dict[str, Any], parameters: list[Schema], *causes: Cause
) -> dict[str, Any]:
    problems = _problems(*causes, *ANYWHERE)
    operation: dict[str, Any] = {"summary": summary, "responses": {**answers, **problems}}
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
        "content": {p.MEDIA_TYPE: {"schema": {"allOf": [ref("Problem"), types]}}},
    }


def _json(status: int, name: str) -> dict[str, Any]:
    content = {"application/json": {"schema": ref(name)}}
    return {str(status): {"description": name, "content": content}}


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
