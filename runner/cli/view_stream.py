"""What a server shows its viewers (`GET /view`), over as many connections as that takes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from math import inf
from typing import Any

import httpx

from runner.client.answer import Received
from runner.client.calls import Calls
from runner.client.errors import TurnlineError
from runner.client.patience import Patience
from runner.client.transport import BROKEN, knobs, loss
from runner.client.wire import EventParser, object_of

QUIET_S = 60.0
"""A server that sends nothing for so long is gone: where nothing happens, it sends comments."""

PASSING_STATUSES = (408, 429)
"""Refusals below 500 that end by themselves."""


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no connection; the next is tried in `after_s`."""

    why: str
    after_s: float


class Watch:
    """One viewer of the server at `url`. Raises ValueError for a URL that is none."""

    def __init__(self, url: str, token: str | None) -> None:
        self._calls = Calls(url, token, 0, QUIET_S)

    async def events(self) -> AsyncGenerator[dict[str, Any] | Lost]:
        """Documents of the view, the first of each connection a whole one, and lost connections.

        Raises TurnlineError where there is no first document, and later where the server
        refuses for good. Otherwise it never gives up: a viewer waits for a server to come back.
        """
        patience, is_known = Patience(0, 0.0), False
        async with httpx.AsyncClient(**knobs(self._calls)) as http:
            while True:
                why, was_sent = "the server ended the stream", True
                try:
                    async for document in _connection(http):
                        patience, is_known = Patience(sys.maxsize, inf), True
                        yield document
                except BROKEN as error:
                    why, was_sent = loss(error)
                except TurnlineError as error:
                    if not is_known or not _passes(error.status):
                        raise
                    why = str(error)
                after_s = patience.after_loss(why, "", was_sent=was_sent)
                yield Lost(why, after_s)
                await asyncio.sleep(after_s)


async def _connection(http: httpx.AsyncClient) -> AsyncGenerator[dict[str, Any]]:
    async with http.stream("GET", "/view", headers={"accept": "text/event-stream"}) as response:
        answer = Received(response.status_code, response.headers)
        if response.status_code != 200:
            answer.body += await response.aread()
            raise answer.error()
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            raise answer.strange()
        parser = EventParser()
        async for data in response.aiter_bytes():
            for told in parser.feed(data):
                if told.kind != "view":
                    continue
                document = object_of(told.data)
                if document is None:
                    raise answer.strange()
                yield document


def _passes(status: int) -> bool:
    return status >= 500 or status in PASSING_STATUSES
