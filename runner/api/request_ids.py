"""Each request has an id, the client's own or a new one, and its answer says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import getrandbits
from typing import Any

from runner.api.exchange import Scope, Send
from runner.turns.origin import Origin, valid_traceparent

REQUEST_ID = "turnline.request_id"
"""Where it is in the scope of a request; a blueprint finds it there too."""

CALLER = "turnline.caller"
"""Likewise the caller's name, once that is known."""

NAME = b"x-request-id"

VALID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


def with_request_id(scope: Scope, headers: Mapping[bytes, bytes], send: Send) -> Send:
    """`send`, with the header X-Request-Id added; the scope is given the id."""
    own = headers.get(NAME)
    if own is None or VALID.fullmatch(own) is None:
        own = b"%016x" % getrandbits(64)  # For finding lines, and no secret.
    scope[REQUEST_ID] = own.decode()

    async def send_with_id(event: Any) -> None:
        if event["type"] == "http.response.start":
            # A blueprint may have sent one of its own, by which no line could be found.
            others = [one for one in event.get("headers", ()) if one[0].lower() != NAME]
            event = {**event, "headers": [*others, (NAME, own)]}
        await send(event)

    return send_with_id


def client_of(scope: Scope) -> str:
    """Who asks: `name@address`, or what of it is known."""
    caller, peer = scope.get(CALLER, ""), scope.get("client")
    address = peer[0] if peer else ""
    return f"{caller}@{address}" if caller and address else caller or address


def origin_of(scope: Scope, headers: Mapping[bytes, bytes]) -> Origin:
    """Where a turn comes from that this request asks for."""
    traceparent = headers.get(b"traceparent")
    valid = "" if traceparent is None else valid_traceparent(traceparent.decode("latin1"))
    return Origin(scope.get(REQUEST_ID, ""), client_of(scope), valid)
