"""The outermost layer: what is settled before any handler sees a request.

Every body is read here, bounded, before anything is answered; so no handler
behind reads one, and an answer never overtakes a body that still arrives.
"""

from __future__ import annotations

import hmac

import structlog

from runner.api.asgi import App, Receive, Scope, Send, send_answer
from runner.api.body import ClientLeft, read_body
from runner.api.chat import answer_turn
from runner.api.cors import with_cors
from runner.api.parsing import parse_turn
from runner.api.problems import (
    INTERNAL,
    MALFORMED_REQUEST,
    METHOD_NOT_ALLOWED,
    UNAUTHORIZED,
    WRONG_FIELD,
    Answer,
    RequestError,
    problem,
    request_problem,
)
from runner.service import Service

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})
"""Probes come without a token."""

log = structlog.get_logger(__name__)


class Edge:
    """An ASGI app: `POST /chat` is answered here, everything else by `inner`."""

    def __init__(self, service: Service, inner: App) -> None:
        self._service = service
        self._inner = inner
        self._settings = service.settings.server
        self._tokens = [token.encode() for token in self._settings.tokens]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        if self._settings.cors_origins:
            send = with_cors(self._settings.cors_origins, scope, send)
        self._service.requests_in_flight += 1
        try:
            await self._respond(scope, receive, send)
        except ClientLeft:
            pass
        finally:
            self._service.requests_in_flight -= 1

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        is_chat = scope["path"] == "/chat"
        try:
            body = await self._read(headers, receive)
            is_preflight = scope["method"] == "OPTIONS" and bool(self._settings.cors_origins)
            if not is_preflight and scope["path"] not in OPEN_PATHS:
                self._authorise(headers)
            answer = Answer(204, (), b"") if is_preflight else None
            if answer is None and is_chat:
                answer = await self._chat(scope, headers, body, receive)
        except RequestError as error:
            answer = request_problem(error)
        except ClientLeft:
            raise
        except Exception:
            log.exception("request failed", path=scope["path"])
            answer = problem(INTERNAL, "The log has the reason.", outcome="unknown")
        if answer is None:
            await self._inner(scope, _no_body(receive), send)
        else:
            await send_answer(send, answer)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The body, whatever it is for; RFC 9112 6.1 calls one with both lengths an attack."""
        body = await read_body(
            receive,
            max_bytes=self._settings.max_body_bytes,
            timeout_s=self._settings.body_timeout_s,
        )
        if b"content-length" in headers and b"transfer-encoding" in headers:
            detail = "Send Content-Length or Transfer-Encoding, not both."
            raise RequestError(MALFORMED_REQUEST, detail, headers=(("connection", "close"),))
        return body

    def _authorise(self, headers: dict[bytes, bytes]) -> None:
        if not self._tokens:
            return
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        # All of them, always: the time taken must not tell which one was close.
        matches = [hmac.compare_digest(token.strip(), known) for known in self._tokens]
        if scheme.lower() != b"bearer" or not any(matches):
            detail = "Send the header Authorization: Bearer TOKEN with one of the server's tokens."
            raise RequestError(UNAUTHORIZED, detail, headers=(("www-authenticate", "Bearer"),))

    async def _chat(
        self, scope: Scope, headers: dict[bytes, bytes], body: bytes, receive: Receive
    ) -> Answer:
        if scope["method"] != "POST":
            detail = "Send a message with POST /chat."
            raise RequestError(METHOD_NOT_ALLOWED, detail, headers=(("allow", "POST"),))
        turn = parse_turn(headers, body, self._settings)
        check_conversation(self._service, turn.conversation)
        return await answer_turn(self._service, turn, receive)


def check_conversation(service: Service, conversation: str) -> None:
    """Raise RequestError for a conversation that this agent cannot have."""
    if service.desk.agent.about.single_conversation and conversation != "default":
        detail = (
            "This agent is one object with one history, so there is one conversation, `default`. "
            "Serve its class or a factory to have one for each."
        )
        raise RequestError(WRONG_FIELD, detail, pointer="/conversation_id")


def _no_body(receive: Receive) -> Receive:
    """`receive` for a handler behind: the body was read here, and nothing is left of it."""
    done = False

    async def receive_rest() -> object:
        nonlocal done
        if not done:
            done = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return await receive()

    return receive_rest
