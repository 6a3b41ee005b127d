"""From an error to what the client is told: the one table, and RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import structlog
from werkzeug.exceptions import HTTPException

import strategies
from runner.agents.threads import AgentHangs
from runner.api.exchange import Answer, Headers, to_json
from runner.store.base import StoreUnavailable
from runner.turns.requests import InputPending, WrongResume
from strategies import Outcome, TurnError

MEDIA_TYPE = "application/problem+json"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cause:
    """A stable name for one cause, with its status and title."""

    status: int
    name: str
    title: str

    @property
    def type(self) -> str:
        """The `type` member of a problem document."""
        return f"urn:turnline:problem:{self.name}"


REQUEST_CAUSES = (
    MALFORMED_JSON := Cause(400, "malformed-json", "The body is not valid JSON in UTF-8"),
    MALFORMED_REQUEST := Cause(
        400, "malformed-request", "The request is not valid HTTP for this server"
    ),
    UNAUTHORIZED := Cause(401, "unauthorized", "A valid token is needed"),
    NOT_FOUND := Cause(404, "not-found", "There is nothing here"),
    NO_TURN := Cause(404, "no-such-turn", "There is no such turn"),
    NO_CONVERSATION := Cause(404, "no-such-conversation", "There is no such conversation"),
    METHOD_NOT_ALLOWED := Cause(405, "method-not-allowed", "This method is not for this path"),
    BODY_TIMEOUT := Cause(408, "body-timeout", "The body did not arrive in time"),
    TOO_LARGE := Cause(413, "too-large", "The body or the message is too large"),
    NOT_JSON := Cause(415, "not-json", "The body must be JSON"),
    WRONG_HOST := Cause(421, "wrong-host", "The server does not answer to this host"),
    WRONG_FIELD := Cause(422, "wrong-field", "A field is missing or wrong"),
    KEY_REUSED := Cause(422, "idempotency-key-reused", "The key was used for another message"),
    VIEW_BUSY := Cause(429, "view-busy", "Another one is being shown"),
    VIEW_FULL := Cause(429, "view-full", "Too many of yours are looking already"),
    INTERNAL := Cause(500, "internal", "The server failed"),
)

BUSY = Cause(409, "conversation-busy", "A turn of this conversation is running")
QUEUE_FULL = Cause(429, "conversation-queue-full", "The line of this conversation is full")
CALLER_FULL = Cause(429, "caller-queue-full", "Too many of your turns wait here")
SERVER_FULL = Cause(503, "server-full", "The server is full")
AGENT_HANGS = Cause(503, "agent-hangs", "Too many calls of the agent hang")
DRAINING = Cause(503, "draining", "The server is shutting down")
STORE = Cause(503, "store-unavailable", "The store is unavailable")

TURN_CAUSES: dict[type[TurnError], Cause] = {
    strategies.ConversationBusy: BUSY,
    strategies.TurnCancelled: Cause(409, "turn-cancelled", "The turn was cancelled"),
    strategies.TurnInterrupted: Cause(409, "turn-interrupted", "The turn was interrupted"),
    InputPending: Cause(409, "input-required", "The agent waits for answers to its requests"),
    WrongResume: WRONG_FIELD,
    strategies.ConversationQueueFull: QUEUE_FULL,
    strategies.CallerQueueFull: CALLER_FULL,
    strategies.AgentFailed: Cause(502, "agent-failed", "The agent failed"),
    strategies.ServerFull: SERVER_FULL,
    strategies.WaitExpired: Cause(503, "wait-expired", "The turn could not start in time"),
    strategies.Draining: DRAINING,
    StoreUnavailable: STORE,
    AgentHangs: AGENT_HANGS,
    strategies.TurnTimeout: Cause(504, "turn-timeout", "The agent did not reply in time"),
}

ALL_CAUSES = tuple(dict.fromkeys((*REQUEST_CAUSES, *TURN_CAUSES.values())))

RETRY_STATUSES = frozenset({409, 429, 503})
NOT_TO_BE_RETRIED = frozenset({"turn-cancelled", "turn-interrupted", "input-required"})
"""These ended on purpose, or need something else than another try."""

ELSEWHERE = "This server has no such path; GET /docs shows those that it has."
SEE_ALLOW = "See the Allow header for the methods of this path."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem document, with headers that go with it in whatever words it is told."""

    document: Mapping[str, Any]
    headers: Headers = ()


class RequestError(Exception):
    """The request was not understood, so no turn came of it.

    pointer  the JSON pointer of the field that is wrong, or `?name` for a query parameter.
    """

    def __init__(
        self, cause: Cause, detail: str, headers: Headers = (), *, pointer: str | None = None
    ) -> None:
        super().__init__(detail)
        self.refusal = Refusal(problem_document(cause, detail, pointer=pointer), headers)


def wrong_field(pointer: str, detail: str) -> RequestError:
    return RequestError(WRONG_FIELD, detail, pointer=pointer)


def problem_document(
    cause: Cause,
    detail: str,
    *,
    outcome: Outcome = "not_started",
    retry_after_s: float | None = None,
    **members: object,
) -> dict[str, Any]:
    """The problem document for a cause; members that are None are left out."""
    content: dict[str, Any] = {
        "type": cause.type,
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


def cause_of(error: type[TurnError]) -> Cause:
    """The nearest one that is known: a strategy of one's own may have an error of its own."""
    return next((TURN_CAUSES[kind] for kind in error.__mro__ if kind in TURN_CAUSES), INTERNAL)


def status_of(error: TurnError) -> int:
    return cause_of(type(error)).status


def turn_document(error: TurnError, **members: object) -> dict[str, Any]:
    """The problem document for a turn that ended without a reply."""
    return problem_document(
        cause_of(type(error)),
        str(error),
        outcome=error.outcome,
        retry_after_s=error.retry_after_s,
        **members,
    )


def as_answer(document: Mapping[str, Any], headers: Headers = ()) -> Answer:
    """The response with this problem document; its headers say the same to a program."""
    head = [("content-type", MEDIA_TYPE), ("turn-outcome", document["outcome"]), *headers]
    if "retry_after_s" in document:  # The header knows whole seconds only.
        head.append(("retry-after", str(ceil(document["retry_after_s"]))))
    return Answer(document["status"], tuple(head), to_json(document))


def problem_text(document: Mapping[str, Any]) -> str:
    """The problem for a person; many a detail begins with its title."""
    title, detail = str(document["title"]), str(document["detail"])
    return detail if detail.startswith(title) else f"{title}: {detail}"


def problem(cause: Cause, detail: str, headers: Headers = (), **more: Any) -> Answer:
    """As `problem_document`, whole."""
    return as_answer(problem_document(cause, detail, **more), headers)


def refusal_of(error: Exception, path: str) -> Refusal:
    """What a client is told when its request ended with this error: the one ladder."""
    match error:
        case RequestError():
            return error.refusal
        case TurnError():
            return Refusal(turn_document(error))
        case HTTPException():
            return _of_http(error)
        case _:
            log.error("request failed", path=path, exc_info=error)
            return _refusal(INTERNAL, "The log has the reason.", outcome="unknown")


def _of_http(error: HTTPException) -> Refusal:
    """Of routes that are not ours: those of blueprints, and those that are not there."""
    allow = dict(error.get_headers()).get("Allow")
    headers = () if allow is None else (("allow", allow),)
    match error.code:
        case 404:
            return _refusal(NOT_FOUND, ELSEWHERE, headers)
        case 405:
            return _refusal(METHOD_NOT_ALLOWED, SEE_ALLOW, headers)
        case code:
            cause = Cause(code or 500, error.name.lower().replace(" ", "-"), error.name)
            return _refusal(cause, "See the title.", headers)


def _refusal(cause: Cause, detail: str, headers: Headers = (), **more: Any) -> Refusal:
    return Refusal(problem_document(cause, detail, **more), headers)
