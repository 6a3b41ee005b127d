"""A stream that is closed by what its turn has left: the state of the thread, which the store has.

A document that is awaited is such a stream too. It begins at once and is blank until the end: a
proxy sees that it lives, and a client that is cut off knows from the headers where to come back to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from runner.api.body import ClientLeft
from runner.api.exchange import Receive, Send, to_json
from runner.api.stream import EventStream, event
from runner.turns.ending import is_for_later
from strategies import TurnError

BLANK = b"\n"


@dataclass(slots=True)
class Closing:
    """A response: a stream of the turn's events, and what is to be sent when they have ended.

    content_type  another than that of events; then only blanks are sent until the end.
    cancels       the turn, if the client leaves.
    """

    stream: EventStream
    end: Callable[[], Awaitable[bytes]]
    content_type: bytes = b""
    cancels: bool = False

    async def __call__(self, send: Send, receive: Receive) -> None:
        async def send_on(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._head(message["headers"])}
            elif not message.get("more_body"):
                if is_for_later(self.stream.live.ending):
                    raise ClientLeft  # Cut off, without an end, its client comes back by itself.
                await send({**message, "body": await self._last(), "more_body": True})
            elif self.content_type:
                message = {**message, "body": BLANK}
            await send(message)

        try:
            await self.stream(send_on, receive)
        except ClientLeft:
            if self.cancels and (ticket := self.stream.live.ticket) is not None:
                ticket.cancel()
            raise

    def _head(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        if not self.content_type:
            return headers
        others = [header for header in headers if header[0] != b"content-type"]
        return [(b"content-type", self.content_type), *others]

    async def _last(self) -> bytes:
        try:
            return await self.end()
        except TurnError as error:  # The store: the state of the thread cannot be read now.
            told = {"error": "store-unavailable", "message": str(error)}
            if self.content_type:
                return to_json({"__error__": told})
            return event(to_json(told), "error")
