"""How a route describes itself: the operations of the OpenAPI document, and their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runner.api import documents, examples
from runner.api import problems as p
from runner.api.problems import Cause
from runner.api.schemas import TEXT, Schema, ref
from runner.settings import Settings

Operation = dict[str, Any]
Describe = Callable[[Settings], Operation]

ANYWHERE = (
    p.MALFORMED_REQUEST, p.UNAUTHORIZED, p.METHOD_NOT_ALLOWED, p.WRONG_HOST, p.WRONG_FIELD,
    p.INTERNAL, p.SERVER_FULL,
)  # fmt: skip
"""What any request may be answered. A query parameter that there is not is a wrong field."""

EVENTS = """A stream of events, each with an `id`:
`queued` and `position` {turn_id, position, eta_s, eta_range_s}, `started` {turn_id, attempt},
`delta` {text, and pieces where several were joined for a slow reader}, `tool_call` {id, name,
arguments}, `tool_result` {id, name, content}, `reasoning` {text}, `usage` {input_tokens,
output_tokens}, and at the end `done` or `input_required` (the body of the 200) or `failed` (the
problem document). After a restart of the server `started`
comes again with the next attempt, and the text starts from the beginning. Comments keep
proxies from closing a silent stream; `retry` tells a browser once what to wait before it
reconnects."""


def plain(summary: str, document: type | None, *causes: Cause) -> Describe:
    """Answers 200 with this document, or 204 with none."""
    answers = {"204": {"description": "It is done."}}
    if document is not None:
        answers = {"200": _document(document.__name__, document)}
    return lambda _: _operation(summary, answers, [], *causes)


def page(
    summary: str, media_type: str, document: type | None = None, causes: tuple[Cause, ...] = ()
) -> Describe:
    """Answers 200 with a text, or with this document for clients that do not accept the text."""
    text = _answer("The text.", media_type, {})
    if document is not None:
        text["content"] |= _document("", document)["content"]
    return lambda _: _operation(summary, {"200": text}, [], *causes)


def door(summary: str, *, stream: bool = False, body: bool = False) -> Describe:
    """Of other clients' words, which their own documents describe."""
    content: dict[str, Any] = {"application/json": {"schema": {}}}
    answers = {"200": {"description": "As its clients know it.", "content": content}}
    if stream:
        content["text/event-stream"] = {"schema": TEXT}
    answers["default"] = {"description": "A refusal, or a failure, in the same words."}

    def describe(_: Settings) -> Operation:
        operation: Operation = {"summary": summary, "responses": answers, "parameters": []}
        operation["x-codeSamples"] = []  # Who comes here has a client.
        if body:
            schema = {"schema": {"type": "object"}}
            operation["requestBody"] = {"required": True, "content": {"application/json": schema}}
        return operation

    return describe


def streamed(
    summary: str, events: str, *causes: Cause, whole: str = "", body: bool = False
) -> Describe:
    """Answers with these events.

    whole  what is answered, as JSON, to who does not accept events; "" where all are sent them.
    body   it takes one: `{}`.
    """
    content: Schema = {"text/event-stream": {"schema": {"description": events}}}
    if whole:
        content["application/json"] = {"schema": {"type": "object", "description": whole}}
    answers = {"200": {"description": "The events.", "content": content}}
    nothing = {"type": "object", "additionalProperties": False}
    taken = {"application/json": {"schema": nothing, "example": {}}}

    def describe(_: Settings) -> Operation:
        operation = _operation(summary, answers, [], *causes)
        if body:
            operation["requestBody"] = {"required": True, "content": taken}
        return operation

    return describe


def chat(settings: Settings) -> Operation:
    """`POST /chat`."""
    told = {
        "Preference-Applied": _header("the preferences that were applied"),
        "Idempotent-Replayed": _header("true: asked before, under the same key"),
    }
    whole = _document("The reply.", documents.Reply, told)
    whole["content"] |= _STREAM
    found = told | {"Location": _header("/turns/{turn_id}")}
    goes_on = "The turn was accepted and runs in the background."
    later = _document(goes_on, documents.Accepted, found)
    operation = _operation(
        "Send a message and get the agent's reply",
        {"200": whole, "202": later},
        _chat_headers(settings),
        p.MALFORMED_JSON, p.BODY_TIMEOUT, p.TOO_LARGE, p.NOT_JSON, p.WRONG_FIELD, p.KEY_REUSED,
        *p.TURN_CAUSES.values(),
    )  # fmt: skip
    body = {"schema": {"$ref": "#/components/schemas/ChatBody"}, "example": examples.BODY}
    operation["requestBody"] = {"required": True, "content": {"application/json": body}}
    return operation


_STREAM = {
    "text/event-stream": {
        "schema": {"type": "string", "description": EVENTS},
        "example": examples.STREAM,
    }
}


def _chat_headers(settings: Settings) -> list[Schema]:
    key = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
    milliseconds = {"type": "string", "pattern": "^[0-9]{1,12}$"}
    headers: dict[str, tuple[Schema, str]] = {
        "Prefer": (TEXT, "respond-async: answer 202 at once. wait=N: the same after N seconds. "
            "on-disconnect=drop-waiting, continue or cancel: what becomes of the turn when this "
            "client leaves."),
        "Idempotency-Key": (key, "The same key and message are one turn: attached to while it "
            "waits or runs, replayed when it is done. Counts within its conversation."),
        "Priority": (TEXT, "u=0 (most urgent) to u=7 (RFC 9218). Waiting makes it more urgent."),
        "Turn-Deadline-Ms": (milliseconds, "Refuse or stop a turn that takes more milliseconds."),
    }  # fmt: skip
    if settings.webhook.allowed_hosts:
        headers["Webhook-URL"] = (
            TEXT,
            "With respond-async: where the turn's document is posted when it has ended.",
        )
    # Which strategy the server has, a stranger is not told.
    own = () if settings.server.tokens else (settings.strategy.name,)
    if allowed := [*dict.fromkeys((*own, *settings.strategy.per_turn))]:
        text = "What to do where the conversation is busy: the server's own strategy, or another."
        headers["Turn-Strategy"] = {"type": "string", "enum": allowed}, text
    return [parameter("header", name, *said) for name, said in headers.items()]


def events(settings: Settings) -> Operation:
    """`GET /turns/{turn_id}/events`."""
    location = {"Location": _header("/turns/{turn_id}")}
    answers = {
        "200": {"description": "The events.", "headers": location, "content": _STREAM},
        "204": {"description": "You have received the last event; do not reconnect."},
    }
    last = parameter("header", "Last-Event-ID", TEXT, "Continue after this event.")
    return _operation("Read a turn's events", answers, [last], p.NO_TURN, p.STORE)


# The parts of an operation.


def _operation(
    summary: str, answers: dict[str, Any], parameters: list[Schema], *causes: Cause
) -> Operation:
    """With a response for each status, and the types that it may have."""
    by_status: dict[int, list[Cause]] = {}
    for cause in dict.fromkeys((*causes, *ANYWHERE)):
        by_status.setdefault(cause.status, []).append(cause)
    problems = {str(status): _problem(status, by_status[status]) for status in sorted(by_status)}
    return {"summary": summary, "responses": {**answers, **problems}, "parameters": parameters}


def _problem(status: int, causes: list[Cause]) -> dict[str, Any]:
    types = {"properties": {"type": {"enum": [cause.type for cause in causes]}}}
    headers = {"Turn-Outcome": _header("not_started, rolled_back or unknown", required=True)}
    if status in p.RETRY_STATUSES:
        headers["Retry-After"] = _header("seconds, by depth and measured service time")
    if status == p.UNAUTHORIZED.status:
        headers["WWW-Authenticate"] = _header("Bearer", required=True)
    if status == p.METHOD_NOT_ALLOWED.status:
        headers["Allow"] = _header("the methods of this path", required=True)
    titles = ". ".join(f"{cause.title} ({cause.name})" for cause in causes)
    schema = {"allOf": [ref(documents.Problem), types]}
    return _answer(f"{titles}.", p.MEDIA_TYPE, schema, headers)


def _document(
    description: str, document: type, headers: dict[str, Schema] | None = None
) -> dict[str, Any]:
    answer = _answer(description, "application/json", ref(document), headers)
    answer["content"]["application/json"]["example"] = examples.EXAMPLES[document]
    return answer


def _answer(
    description: str, media_type: str, schema: Schema, headers: dict[str, Schema] | None = None
) -> dict[str, Any]:
    content = {media_type: {"schema": schema}}
    return {"description": description, "headers": headers or {}, "content": content}


def _header(description: str, *, required: bool = False) -> Schema:
    return {"description": description, "required": required, "schema": TEXT}


def parameter(where: str, name: str, schema: Schema, description: str) -> Schema:
    about = {"schema": schema, "description": description}
    return {"in": where, "name": name, "required": where == "path", **about}
