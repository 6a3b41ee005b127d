"""The way of a request, from ASGI to ASGI: caller, body, route, answer; and one ladder of errors.

Every body is read here, bounded, before anything is answered; so no handler reads one,
and an answer never overtakes a body that still arrives. Ours are answered here; what the
table of routes does not have goes to Quart, with its blueprints.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import structlog

from runner.api.body import ClientLeft, read_body
from runner.api.cors import with_cors
from runner.api.exchange import Answer, App, Receive, Request, Response, Scope, Send
from runner.api.problems import (
    MALFORMED_REQUEST,
    METHOD_NOT_ALLOWED,
    SEE_ALLOW,
    UNAUTHORIZED,
    RequestError,
    answer_to,
)
from runner.api.routes import match
from runner.turns.service import Service

CALLER = "turnline.caller"
"""Where a blueprint finds the caller's name in the scope of its request."""

KNOWN_VERSIONS = ("1", "2", "3")

log = structlog.get_logger(__name__)


class Edge:
    """An ASGI app: answers our own routes, and hands everything else to `inner`."""

    def __init__(self, service: Service, inner: App) -> None:
        self._service = service
        self._inner = inner
        self._settings = service.settings.server
        self._callers = [
            (token.encode(), caller) for token, caller in self._settings.callers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        if self._settings.cors_origins:
            send = with_cors(self._settings.cors_origins, scope, send)
        self._service.requests_in_flight += 1
        try:
            try:
                response = await self._respond(scope, receive)
            except ClientLeft:
                return
            except Exception as error:
                response = answer_to(error, scope["path"])
            await response(send, receive)
        except ClientLeft:
            pass
        except Exception as error:  # In the middle of an answer: nothing can be said any more.
            log.error("request failed", path=scope["path"], exc_info=error)
        finally:
            self._service.requests_in_flight -= 1

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await read_body(
            receive,
            max_bytes=self._settings.max_body_bytes,
            timeout_s=self._settings.body_timeout_s,
        )
        if b"content-length" in headers and b"transfer-encoding" in headers:
            detail = "Send Content-Length or Transfer-Encoding, not both."  # RFC 9112 6.1: attack.
            raise RequestError(MALFORMED_REQUEST, detail, (("connection", "close"),))
        if not scope.get("http_version", "1.1").startswith(KNOWN_VERSIONS):
            raise RequestError(MALFORMED_REQUEST, "Speak HTTP/1.1.")  # h11 takes HTTP/9.9.
        method = scope["method"]
        methods, params = match(scope["path"])
        allow = (("allow", ", ".join(sorted(methods))),)
        if method == "OPTIONS" and (methods or self._settings.cors_origins):
            return Answer(204, allow)
        route = methods.get("GET" if method == "HEAD" else method)
        caller = "" if route is not None and route.is_open else self._caller(headers)
        if route is not None:
            query = route.parse_query(scope["query_string"])
            request = Request(scope, headers, body, caller, receive, params, query)
            answer = await route.handler(self._service, request)
            return _without_body(answer) if method == "HEAD" else answer
        if methods:
            raise RequestError(METHOD_NOT_ALLOWED, SEE_ALLOW, allow)
        scope[CALLER] = caller
        return _forwarded(self._inner, scope, body)

    def _caller(self, headers: Mapping[bytes, bytes]) -> str:
        """The caller's name, "" for one without. Raises RequestError for a stranger."""
        if not self._callers:
            return ""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        # All of them, always: the time taken must not tell which one was close.
        matches = [
            caller for known, caller in self._callers if hmac.compare_digest(token.strip(), known)
        ]
        if scheme.lower() != b"bearer" or not matches:
            detail = "Send the header Authorization: Bearer TOKEN with one of the server's tokens."
            raise RequestError(UNAUTHORIZED, detail, (("www-authenticate", "Bearer"),))
        return matches[0]


def _forwarded(app: App, scope: Scope, body: bytes) -> Response:
    """What another app answers, given the body that was read here."""

    async def respond(send: Send, receive: Receive) -> None:
        events = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive_again() -> object:
            return next(events, None) or await receive()

        await app(scope, receive_again, send)

    return respond


def _without_body(response: Response) -> Response:
    """The answer to HEAD."""

    async def respond(send: Send, receive: Receive) -> None:
        async def send_head(message: Any) -> None:
            is_body = message["type"] == "http.response.body"
            await send({**message, "body": b""} if is_body else message)

        await response(send_head, receive)

    return respond
