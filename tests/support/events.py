"""A reader of event streams that can stop in the middle and come back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Self

from tests.support.client import LIMIT_S, closed_on_error


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it came; a comment has the kind ``."""

    kind: str
    id: str
    data: Any


class Stream:
    """The events of one response. Use it with `with`; leaving closes the connection."""

    def __init__(
        self,
        port: int,
        message: str | None = None,
        conversation: str = "default",
        *,
        turn: str = "",
        path: str = "",
        after: str | None = None,
        limit_s: float = LIMIT_S,
        **headers: str,
    ) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection = HTTPConnection("127.0.0.1", port, timeout=limit_s)
        with closed_on_error(self._connection):
            if message is not None:
                content = {"message": message, "conversation_id": conversation}
                named |= {"content-type": "application/json", "accept": "text/event-stream"}
                self._connection.request("POST", "/chat", json.dumps(content), named)
            else:
                if after is not None:
                    named["last-event-id"] = after
                named |= {"accept": "text/event-stream"}
                self._connection.request("GET", path or f"/turns/{turn}/events", headers=named)
        self.retries: list[str] = []
        """What it was told to wait before it reconnects, each time that it was told."""
        with closed_on_error(self._connection):
            self.response: HTTPResponse = self._connection.getresponse()
        self.headers: Mapping[str, str] = dict(self.response.getheaders())

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def json(self) -> Any:
        return json.loads(self.response.read())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        while line := self.response.readline().decode():
            name, _, value = line.rstrip("\n").partition(":")
            if name == "retry":
                self.retries.append(value.strip())
                assert self.response.readline() == b"\n", "it stands alone"
            elif line != "\n":
                fields[name] = value.strip()
            else:
                data = json.loads(fields["data"]) if "data" in fields else None
                yield Event(fields.get("event", ""), fields.get("id", ""), data)
                fields = {}

    def until(self, kind: str) -> Event:
        """Read up to the first event of this kind."""
        return next(event for event in self if event.kind == kind)

    def rest(self) -> list[Event]:
        return list(self)


def text_of(events: list[Event]) -> str:
    return "".join(event.data["text"] for event in events if event.kind == "delta")
