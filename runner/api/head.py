"""What the head of a request must be, before anything else of it is looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from runner.api.exchange import Receive, Scope, Send
from runner.api.hosts import Hosts
from runner.api.problems import MALFORMED_REQUEST, RequestError, problem

ABSOLUTE = re.compile(r"https?://([^/]+)(/.*)?", re.IGNORECASE | re.DOTALL)
"""The target that is sent to proxies; RFC 9112 3.2.2 wants every server to take it."""

KNOWN_VERSIONS = ("1", "2", "3")

WEBSOCKET = "There is no WebSocket here. Send plain HTTP; Accept: text/event-stream has events."


def check_head(scope: Scope, headers: Mapping[bytes, bytes], hosts: Hosts) -> None:
    """Raises RequestError; gives the scope of an absolute target the path that it names."""
    if b"content-length" in headers and b"transfer-encoding" in headers:
        _refuse("Send Content-Length or Transfer-Encoding, not both.")  # RFC 9112 6.1: attack.
    if b"upgrade" in headers and b"websocket" in headers[b"upgrade"].lower():
        raise RequestError(MALFORMED_REQUEST, WEBSOCKET, (("connection", "close"),))
    if len(headers) < len(scope["headers"]):
        names = [name for name, _ in scope["headers"]]
        if names.count(b"host") > 1:
            _refuse("Send the header Host once.")
    if not scope["http_version"].startswith(KNOWN_VERSIONS):
        _refuse("Speak HTTP/1.1.")  # h11 takes HTTP/9.9.
    host = headers.get(b"host")
    if not scope["path"].startswith("/"):
        host = _of_target(scope, host)
    if host is not None:
        server = scope.get("server")
        hosts.check(host, server[0] if server else "")
    elif scope["http_version"] == "1.1":
        _refuse("Send the header Host, as HTTP/1.1 demands.")


def _of_target(scope: Scope, host: bytes | None) -> bytes | None:
    """The host, where the target is no path."""
    if scope["path"] == "*" and scope["method"] == "OPTIONS":
        return host
    target = ABSOLUTE.fullmatch(scope["path"])
    if target is None:
        _refuse("Send a path that begins with a slash, such as GET /health.")
    scope["path"] = target[2] or "/"
    return target[1].encode()


def _refuse(detail: str) -> NoReturn:
    raise RequestError(MALFORMED_REQUEST, detail)


async def refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """For ASGI servers that take an upgrade up: it is never accepted."""
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})  # The server answers 403.
        return

    async def send_denial(event: Mapping[str, object]) -> None:
        await send({**event, "type": f"websocket.{event['type']}"})

    await problem(MALFORMED_REQUEST, WEBSOCKET)(send_denial, receive)
