"""The access log: a line for each request, once its answer is whole or its client is gone."""

from __future__ import annotations

from time import monotonic
from typing import Any

import structlog

from runner.api.exchange import Scope, Send
from runner.api.request_ids import REQUEST_ID, client_of

log = structlog.get_logger(__name__)


class Access:
    """What is seen of a request. No header and no query: those may hold what is secret."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._began_at = monotonic()
        self._status = 0
        self._bytes = 0

    async def send(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            self._status = event["status"]
        else:
            self._bytes += len(event.get("body", b""))
        await self._send(event)

    def log(self) -> None:
        """The line; its status is 0 where the client left before the answer began."""
        log.info(
            "request",
            method=self._scope["method"],
            path=self._scope["path"],
            status=self._status,
            bytes=self._bytes,
            ms=round(1000 * (monotonic() - self._began_at)),
            client=client_of(self._scope),
            request_id=self._scope[REQUEST_ID],
        )
