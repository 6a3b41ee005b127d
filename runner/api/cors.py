"""Cross-origin requests: which web pages may read the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.api.exchange import Scope, Send

ALLOWED = {
    b"access-control-allow-methods": b"GET, POST, DELETE",
    b"access-control-allow-headers": b"a2a-extensions, a2a-version, authorization, content-type, "
    b"idempotency-key, last-event-id, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id, "
    b"prefer, priority, traceparent, turn-deadline-ms, turn-strategy, webhook-url, x-api-key, "
    b"x-request-id",
    b"access-control-expose-headers": b"content-location, idempotent-replayed, location, "
    b"mcp-session-id, preference-applied, retry-after, turn-outcome, x-request-id",
    b"access-control-max-age": b"600",
}


def with_cors(origins: Sequence[str], scope: Scope, send: Send) -> Send:
    """`send`, with the headers of the Fetch standard added where the page's origin is allowed."""
    origin: bytes = dict(scope["headers"]).get(b"origin", b"")
    if not origin or not ("*" in origins or origin.decode("latin1") in origins):
        return send

    async def send_with_headers(event: Any) -> None:
        if event["type"] == "http.response.start":
            own = [(b"access-control-allow-origin", origin), (b"vary", b"origin"), *ALLOWED.items()]
            event = {**event, "headers": [*event.get("headers", []), *own]}
        await send(event)

    return send_with_headers
