"""From bytes to what is asked, parsed once: what gets past here is valid everywhere behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast, get_args

from runner.api.body import check_media_type, parse_object
from runner.api.content import parse_content
from runner.api.exchange import Request
from runner.api.names import check_fields
from runner.api.problems import MALFORMED_REQUEST, RequestError, wrong_field
from runner.api.request_ids import origin_of
from runner.callers import scoped
from runner.settings import OnDisconnect, ServerSettings, StrategySettings, WebhookSettings
from runner.turns.content import Content
from runner.turns.service import Service
from runner.turns.submission import Submission
from runner.turns.turn_ids import new_id
from runner.webhooks.address import NotAllowed, Target
from strategies import Turn

DEFAULT_CONVERSATION = "default"

CONVERSATION_ID = re.compile(r"[A-Za-z0-9._:-]+")
COUNT = re.compile(r"[0-9]{1,9}")
KEY = re.compile(rb"[\x20-\x7e]{1,255}")
KEY_IS = "An Idempotency-Key is 1 to 255 characters of printable ASCII."
MILLISECONDS = re.compile(rb"[0-9]{1,12}")
DEADLINE_IS = "Turn-Deadline-Ms is a whole number of milliseconds, such as 30000."
URGENCY = re.compile(rb"(?:^|[,\s])u=([0-7])(?=$|[,;\s])")
DEFAULT_URGENCY = 3
MOST_WAIT_S = 86_400


def parse_submission(service: Service, request: Request) -> Submission:
    """What `POST /chat` asks for; its turn has a new id. Raises RequestError."""
    limits = service.settings.server
    fields = parse_fields(service, request)
    check_fields(fields)
    own = parse_conversation(fields.get("conversation_id"), limits, "/conversation_id")
    check_conversation(service, own, "/conversation_id")
    message, content = parse_content(fields, limits, service.about)
    stream = b"text/event-stream" in request.headers.get(b"accept", b"").lower()
    return make_submission(service, request, own, message, content, stream=stream)


def parse_fields(service: Service, request: Request) -> dict[str, Any]:
    """The body, an object of JSON. Raises RequestError."""
    check_media_type(request.headers.get(b"content-type", b""))
    return parse_object(request.body, service.settings.server.max_json_depth)


def make_submission(
    service: Service,
    request: Request,
    own: str,
    message: str,
    content: Content | None = None,
    *,
    stream: bool = False,
) -> Submission:
    """A new turn, with what the request's headers say of it. Raises RequestError.

    own  the conversation's id as its caller gave it.
    """
    headers, settings = request.headers, service.settings
    key = _parse_header(headers.get(b"idempotency-key"), KEY, KEY_IS)
    deadline_ms = _parse_header(headers.get(b"turn-deadline-ms"), MILLISECONDS, DEADLINE_IS)
    turn = Turn(
        id=new_id(),
        conversation=scoped(request.caller, own),
        message=message,
        deadline_s=None if deadline_ms is None else int(deadline_ms) / 1000,
        priority=_parse_priority(headers.get(b"priority", b"")),
        strategy=_parse_strategy(headers.get(b"turn-strategy"), settings.strategy),
        caller=request.caller,
        more=content,
    )
    submission = Submission(
        turn,
        on_disconnect=settings.strategy.on_disconnect,
        key=key,
        stream=stream,
        origin=origin_of(request.scope, headers),
    )
    if b"prefer" in headers:
        submission = _prefer(submission, request.scope["headers"])
    if b"webhook-url" in headers:
        submission = _with_webhook(submission, headers[b"webhook-url"], settings.webhook)
    return submission


def parse_conversation(value: object, limits: ServerSettings, pointer: str) -> str:
    """A conversation's id; None stands for the default one. Raises RequestError."""
    if value is None:
        return DEFAULT_CONVERSATION
    longest = limits.max_conversation_id_length
    if isinstance(value, str) and len(value) <= longest and CONVERSATION_ID.fullmatch(value):
        return value
    detail = f"A conversation id is 1 to {longest} characters of A-Z a-z 0-9 . _ : -"
    raise wrong_field(pointer, detail)


def check_conversation(service: Service, conversation: str, pointer: str) -> None:
    """Raise RequestError for a conversation that this agent cannot have."""
    if service.about.single_conversation and conversation != DEFAULT_CONVERSATION:
        detail = (
            "This agent is one object with one history, so there is one conversation, `default`. "
            "Serve its class or a factory to have one for each."
        )
        raise wrong_field(pointer, detail)


def parse_count(text: str | None, default: int) -> int:
    """How many of something to give; 0 means all. Raises RequestError."""
    if text is None:
        return default
    if COUNT.fullmatch(text) is None:
        raise wrong_field("?count", "count is how many to give; 0 means all.")
    return int(text)


def _parse_header(value: bytes | None, valid: re.Pattern[bytes], detail: str) -> str | None:
    if value is not None and valid.fullmatch(value) is None:
        raise RequestError(MALFORMED_REQUEST, detail)
    return None if value is None else value.decode()


def _prefer(submission: Submission, headers: Iterable[tuple[bytes, bytes]]) -> Submission:
    """As `Prefer` (RFC 7240) wants it; what is not honoured here is ignored, as it says."""
    found: dict[str, str] = {}
    values = [value.decode("latin1") for name, value in headers if name == b"prefer"]
    for part in ",".join(values).split(","):
        token, _, said = part.partition(";")[0].partition("=")
        found.setdefault(token.strip().lower(), said.strip().strip('"').lower())
    applied = ["respond-async"] if "respond-async" in found else []
    submission = replace(submission, respond_async=bool(applied))
    if re.fullmatch(r"\d{1,9}", wait := found.get("wait", "")):
        submission = replace(submission, wait_s=min(int(wait), MOST_WAIT_S))
        applied = [f"wait={submission.wait_s}"]
    if (policy := found.get("on-disconnect")) in get_args(OnDisconnect):
        submission = replace(submission, on_disconnect=cast(OnDisconnect, policy))
        applied.append(f"on-disconnect={policy}")
    return replace(submission, applied=", ".join(applied))


def _with_webhook(submission: Submission, value: bytes, settings: WebhookSettings) -> Submission:
    """Raises RequestError."""
    url = value.decode("latin1").strip()
    try:
        Target.parse(url, settings)
    except NotAllowed as error:
        raise RequestError(MALFORMED_REQUEST, f"Webhook-URL: {error}") from error
    if not submission.respond_async and submission.wait_s is None:
        detail = "Webhook-URL is for turns in the background: send Prefer: respond-async too."
        raise RequestError(MALFORMED_REQUEST, detail)
    return replace(submission, webhook=url)


def _parse_priority(value: bytes) -> int:
    """The urgency of RFC 9218, 0 to 7; one that cannot be read counts as none, as it wants."""
    match = URGENCY.search(value)
    return int(match[1]) if match else DEFAULT_URGENCY


def _parse_strategy(value: bytes | None, settings: StrategySettings) -> str | None:
    """One that the server lets turns choose; None for the server's own, named or not."""
    if value is None:
        return None
    name = value.decode("latin1").strip().lower()
    if name in settings.per_turn:
        return name
    if name == settings.name.lower():
        return None
    allowed = ", ".join(dict.fromkeys((settings.name, *settings.per_turn)))
    detail = (
        f"Turn-Strategy: {name!r} is not allowed here; allowed: {allowed}. "
        "[strategy] per_turn in the settings allows more."
    )
    raise RequestError(MALFORMED_REQUEST, detail)
