"""From an error to what the client is told: the one table, and RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Any

import structlog
from werkzeug.exceptions import HTTPException

from runner.api.asgi import Headers
from runner.api.exchange import Answer, to_json
from runner.store.base import StoreUnavailable
from strategies import (
    AgentFailed,
    ConversationBusy,
    ConversationQueueFull,
    Draining,
    Outcome,
    ServerFull,
    TurnCancelled,
    TurnError,
    TurnInterrupted,
    TurnTimeout,
    WaitExpired,
)

MEDIA_TYPE = "application/problem+json"

ELSEWHERE = "There are /chat, /turns, /conversations, /history and /health; see GET /docs."

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cause:
    """A stable name for one cause, with its status and title."""

    status: int
    name: str
    title: str


MALFORMED_JSON = Cause(400, "malformed-json", "The body is not valid JSON in UTF-8")
MALFORMED_REQUEST = Cause(400, "malformed-request", "The request is not valid HTTP for this server")
KEY_REUSED = Cause(422, "idempotency-key-reused", "The key was used for another message")
UNAUTHORIZED = Cause(401, "unauthorized", "A valid token is needed")
NOT_FOUND = Cause(404, "not-found", "There is nothing here")
NO_TURN = Cause(404, "no-such-turn", "There is no such turn")
NO_CONVERSATION = Cause(404, "no-such-conversation", "There is no such conversation")
METHOD_NOT_ALLOWED = Cause(405, "method-not-allowed", "This method is not for this path")
BODY_TIMEOUT = Cause(408, "body-timeout", "The body did not arrive in time")
TOO_LARGE = Cause(413, "too-large", "The body or the message is too large")
NOT_JSON = Cause(415, "not-json", "The body must be JSON")
WRONG_FIELD = Cause(422, "wrong-field", "A field is missing or wrong")
INTERNAL = Cause(500, "internal", "The server failed")
SERVER_FULL = Cause(503, "server-full", "Too many turns wait here")

TURN_CAUSES: dict[type[TurnError], Cause] = {
    ConversationBusy: Cause(409, "conversation-busy", "A turn of this conversation is running"),
    TurnCancelled: Cause(409, "turn-cancelled", "The turn was cancelled"),
    TurnInterrupted: Cause(409, "turn-interrupted", "The turn was interrupted"),
    ConversationQueueFull: Cause(
        429, "conversation-queue-full", "Too many turns of this conversation wait"
    ),
    AgentFailed: Cause(502, "agent-failed", "The agent failed"),
    ServerFull: SERVER_FULL,
    WaitExpired: Cause(503, "wait-expired", "The turn could not start in time"),
    Draining: Cause(503, "draining", "The server is shutting down"),
    StoreUnavailable: Cause(503, "store-unavailable", "The history cannot be kept"),
    TurnTimeout: Cause(504, "turn-timeout", "The agent did not reply in time"),
}

BUSY = TURN_CAUSES[ConversationBusy]

ALL_CAUSES = tuple(
    dict.fromkeys((
        MALFORMED_JSON, MALFORMED_REQUEST, KEY_REUSED, UNAUTHORIZED, NOT_FOUND, NO_TURN,
        NO_CONVERSATION, METHOD_NOT_ALLOWED, BODY_TIMEOUT, TOO_LARGE, NOT_JSON, WRONG_FIELD,
        INTERNAL, *TURN_CAUSES.values(),
    ))
)  # fmt: skip

RETRY_STATUSES = frozenset({409, 429, 503})
NOT_TO_BE_RETRIED = frozenset({"turn-cancelled", "turn-interrupted"})
"""Somebody wanted these to end as they did."""


def type_of(cause: Cause) -> str:
    """The `type` member of a problem document."""
    return f"urn:turnline:problem:{cause.name}"


class RequestError(Exception):
    """The request was not understood, so no turn came of it.

    headers  more response headers.
    pointer  the JSON pointer of the field that is wrong, or `?name` for a query parameter.
    """

    def __init__(
        self,
        cause: Cause,
        detail: str,
        *,
        headers: Headers = (),
        pointer: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail
        self.headers = headers
        self.pointer = pointer


def problem_document(
    cause: Cause,
    detail: str,
    *,
    outcome: Outcome = "not_started",
    retry_after_s: float | None = None,
    members: Mapping[str, object] = MappingProxyType({}),
) -> dict[str, Any]:
    """The problem document for a cause; members that are None are left out."""
    content: dict[str, Any] = {
        "type": type_of(cause),
        "title": cause.title,
        "status": cause.status,
        "detail": detail,
        "outcome": outcome,
    }
    content.update({name: value for name, value in members.items() if value is not None})
    if cause.status in RETRY_STATUSES and cause.name not in NOT_TO_BE_RETRIED:
        # Before the first measurement there is no figure.
        retry_after_s = 1.0 if retry_after_s is None else retry_after_s
        content["retry_after_s"] = max(0.001, round(retry_after_s, 3))
    return content


def turn_document(
    error: TurnError, members: Mapping[str, object] = MappingProxyType({})
) -> dict[str, Any]:
    """The problem document for a turn that ended without a reply."""
    causes = (TURN_CAUSES[kind] for kind in type(error).__mro__ if kind in TURN_CAUSES)
    return problem_document(
        next(causes, INTERNAL),  # A strategy of one's own may have an error of its own.
        str(error),
        outcome=error.outcome,
        retry_after_s=error.retry_after_s,
        members=members,
    )


def as_answer(document: Mapping[str, Any], headers: Headers = ()) -> Answer:
    """The response with this problem document; its headers say the same to a program."""
    head = [("content-type", MEDIA_TYPE), ("turn-outcome", document["outcome"]), *headers]
    if "retry_after_s" in document:  # The header knows whole seconds only.
        head.append(("retry-after", str(ceil(document["retry_after_s"]))))
    return Answer(document["status"], tuple(head), to_json(document))


def problem(cause: Cause, detail: str, *, headers: Headers = (), **more: Any) -> Answer:
    """As `problem_document`, whole."""
    return as_answer(problem_document(cause, detail, **more), headers)


def answer_to(error: Exception, path: str) -> Answer:
    """What a client is told when its request ended with this error: the one ladder."""
    if isinstance(error, RequestError):
        members = {"pointer": error.pointer}
        return problem(error.cause, error.detail, headers=error.headers, members=members)
    if isinstance(error, TurnError):
        return as_answer(turn_document(error))
    if isinstance(error, HTTPException):
        return _http_problem(error)
    log.error("request failed", path=path, exc_info=error)
    return problem(INTERNAL, "The log has the reason.", outcome="unknown")


def _http_problem(error: HTTPException) -> Answer:
    """Of routes that are not ours: those of blueprints, and those that are not there."""
    status = error.code or 500
    detail = {404: ELSEWHERE, 405: "See the Allow header for the methods of this path."}
    name = error.name.lower().replace(" ", "-")
    known = {cause.status: cause for cause in (NOT_FOUND, METHOD_NOT_ALLOWED)}
    cause = known.get(status) or Cause(status, name, error.name)
    allow = dict(error.get_headers()).get("Allow")
    headers = () if allow is None else (("allow", allow),)
    return problem(cause, detail.get(status, "See the title."), headers=headers)


def method_not_allowed(methods: Iterable[str]) -> RequestError:
    allow = (("allow", ", ".join(sorted(methods))),)
    detail = "See the Allow header for the methods of this path."
    return RequestError(METHOD_NOT_ALLOWED, detail, headers=allow)
