"""The way of a request, from ASGI to ASGI: head, caller, route, body, answer; one ladder of errors.

A stranger is answered at the head: only a caller's body is read, and only where a route
takes one. What is answered before its body is ended after it, see `Arriving`. Ours are
answered here; what the table of routes does not have goes to Quart, with its blueprints.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from runner.api.access import Access
from runner.api.body import Arriving, Bodies, ClientLeft
from runner.api.cors import with_cors
from runner.api.exchange import Answer, App, Headers, Receive, Request, Response, Scope, Send
from runner.api.head import check_head, refuse_websocket
from runner.api.hosts import Hosts
from runner.api.openapi import Route
from runner.api.problems import (
    METHOD_NOT_ALLOWED,
    SEE_ALLOW,
    UNAUTHORIZED,
    RequestError,
)
from runner.api.request_ids import CALLER, with_request_id
from runner.api.routes import Methods, Routes
from runner.turns.service import Service

WITH_BODY = ("POST", "PUT", "PATCH")

log = structlog.get_logger(__name__)


class Edge:
    """An ASGI app: answers our own routes, and hands everything else to `inner`."""

    def __init__(self, service: Service, inner: App, routes: Routes | None = None) -> None:
        self._service = service
        self._routes = routes or Routes(service.settings)
        self._inner = inner
        self._settings = service.settings.server
        self._logs = service.settings.observability.access_log
        self._hosts = Hosts(self._settings)
        self._bodies = Bodies(self._settings)
        self._callers = [
            (token.encode(), caller) for token, caller in self._settings.callers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            other = self._inner if scope["type"] == "lifespan" else refuse_websocket
            await other(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        access = Access(scope, send) if self._logs else None
        send = with_request_id(scope, headers, send if access is None else access.send)
        if self._settings.cors_origins:
            send = with_cors(self._settings.cors_origins, scope, send)
        self._service.requests_in_flight += 1
        try:
            await self._answer(scope, headers, receive, send)
        except ClientLeft:
            pass
        except Exception as error:  # In the middle of an answer: nothing can be said any more.
            log.error("request failed", path=scope["path"], exc_info=error)
        finally:
            self._service.requests_in_flight -= 1
            if access is not None:
                access.log()

    async def _answer(
        self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        body = Arriving(headers, receive)
        try:
            check_head(scope, headers, self._hosts)
            methods, params = self._routes.match(scope["path"])
            route = methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
            if route is None:
                response = await self._elsewhere(methods, scope, headers, body)
            else:
                request = Request(scope, headers, b"", "", receive, params)
                response = await self._here(route, request, body)
        except ClientLeft:
            return
        except Exception as error:
            answer = self._routes.answer_to(error, scope["path"])
            response = answer if body.is_whole else _closing(answer)
        if not body.is_whole:
            response = body.answered(response, self._settings.body_timeout_s)
        await response(send, receive)

    async def _here(self, route: Route, request: Request, body: Arriving) -> Response:
        caller = "" if route.is_open else self._caller(request.headers, route.token)
        request.scope[CALLER] = caller
        query = route.parse_query(request.scope["query_string"])
        content = await self._bodies.read(body, caller) if route.method in WITH_BODY else b""
        request = replace(request, caller=caller, query=query, body=content)
        answer = await route.handler(self._service, request)
        return _without_body(answer) if request.scope["method"] == "HEAD" else answer

    async def _elsewhere(
        self, methods: Methods, scope: Scope, headers: Mapping[bytes, bytes], body: Arriving
    ) -> Response:
        """Of what the table has not: all methods of a path, or one of them."""
        if scope["method"] == "OPTIONS" and (
            methods or self._settings.cors_origins or scope["path"] == "*"
        ):
            return Answer(204, _allow(methods))
        caller = self._caller(headers, self._routes.nearest(scope["path"]).token)
        if methods:
            raise RequestError(METHOD_NOT_ALLOWED, SEE_ALLOW, _allow(methods))
        scope[CALLER] = caller
        return self._forwarded(scope, await self._bodies.read(body, caller))

    def _forwarded(self, scope: Scope, body: bytes) -> Response:
        """What the inner app answers, given the body that was read here."""

        async def respond(send: Send, receive: Receive) -> None:
            events = iter([{"type": "http.request", "body": body, "more_body": False}])
            has_begun = False

            async def receive_again() -> object:
                return next(events, None) or await receive()

            async def send_on(event: Any) -> None:
                nonlocal has_begun
                has_begun = True
                await send(event)

            try:
                await self._inner(scope, receive_again, send_on)
            except Exception as error:
                if has_begun:
                    raise
                await self._routes.answer_to(error, scope["path"])(send, receive)

        return respond

    def _caller(self, headers: Mapping[bytes, bytes], other: bytes = b"") -> str:
        """The caller's name, "" for one without. Raises RequestError for a stranger.

        other  a header that may have the token too.
        """
        if not self._callers:
            return ""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if other in headers:
            scheme, token = b"bearer", headers[other]
        # All of them, always: the time taken must not tell which one was close.
        matches = [
            caller for known, caller in self._callers if hmac.compare_digest(token.strip(), known)
        ]
        if scheme.lower() != b"bearer" or not matches:
            detail = "Send the header Authorization: Bearer TOKEN with one of the server's tokens."
            raise RequestError(UNAUTHORIZED, detail, (("www-authenticate", "Bearer"),))
        return matches[0]


def _allow(methods: Methods) -> Headers:
    return (("allow", ", ".join(sorted(methods))),) if methods else ()


def _closing(answer: Answer) -> Answer:
    """To a request that is refused before its body has come."""
    return replace(answer, headers=(*answer.headers, ("connection", "close")))


def _without_body(response: Response) -> Response:
    """The answer to HEAD."""

    async def respond(send: Send, receive: Receive) -> None:
        async def send_head(message: Any) -> None:
            is_body = message["type"] == "http.response.body"
            await send({**message, "body": b""} if is_body else message)

        await response(send_head, receive)

    return respond
