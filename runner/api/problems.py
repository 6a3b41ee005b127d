"""From an error to what the client is told: the one table, and RFC 9457 problem documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Any

from runner.store.base import StoreUnavailable
from runner.telemetry import in_a_line
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

Headers = tuple[tuple[str, str], ...]
"""Response headers: names in lower case, and values."""

MEDIA_TYPE = "application/problem+json"


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


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response, for any framework to send."""

    status: int
    headers: Headers
    body: bytes


def json_answer(status: int, content: dict[str, Any], headers: Headers = ()) -> Answer:
    return Answer(status, (("content-type", "application/json"), *headers), to_json(content))


def to_json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def problem(
    cause: Cause,
    detail: str,
    *,
    outcome: Outcome = "not_started",
    retry_after_s: float | None = None,
    headers: Headers = (),
    members: Mapping[str, object] = MappingProxyType({}),
) -> Answer:
    """The problem document for a cause, with its outcome in the body and in `Turn-Outcome`."""
    content: dict[str, object] = {
        "type": type_of(cause),
        "title": cause.title,
        "status": cause.status,
        "detail": detail,
        "outcome": outcome,
    }
    content.update({name: value for name, value in members.items() if value is not None})
    head = [("content-type", MEDIA_TYPE), ("turn-outcome", outcome), *headers]
    if cause.status in RETRY_STATUSES and cause.name not in NOT_TO_BE_RETRIED:
        # Before the first measurement there is no figure. The header knows whole seconds only.
        retry_after_s = max(0.001, round(1.0 if retry_after_s is None else retry_after_s, 3))
        content["retry_after_s"] = retry_after_s
        head.append(("retry-after", str(ceil(retry_after_s))))
    return Answer(cause.status, tuple(head), to_json(content))


def request_problem(error: RequestError) -> Answer:
    members = {"pointer": error.pointer}
    return problem(error.cause, error.detail, headers=error.headers, members=members)


def turn_problem(
    error: TurnError,
    members: Mapping[str, object] = MappingProxyType({}),
    *,
    expose_agent_errors: bool = False,
    headers: Headers = (),
) -> Answer:
    """The problem document for a turn that ended without a reply.

    The agent's own words are for the log; `expose_agent_errors` adds them.
    """
    causes = (TURN_CAUSES[kind] for kind in type(error).__mro__ if kind in TURN_CAUSES)
    cause = next(causes, INTERNAL)  # A strategy of one's own may have an error of its own.
    if expose_agent_errors and isinstance(error, AgentFailed) and error.__cause__ is not None:
        members = {**members, "agent_error": _encodable(in_a_line(error.__cause__))}
    return problem(
        cause,
        str(error),
        outcome=error.outcome,
        retry_after_s=error.retry_after_s,
        headers=headers,
        members=members,
    )


def _encodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
