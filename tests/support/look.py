"""Who looks at a server: the events of `GET /view`, put together as a page does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.client import LIMIT_S
from tests.support.events import Event, Stream


class Look(Stream):
    """Use it with `with`. `seen` is the latest of each part; lines by (caller, conversation)."""

    def __init__(self, port: int, token: str = "", limit_s: float = LIMIT_S) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        super().__init__(port, path="/view", limit_s=limit_s, **headers)
        self.seen: dict[str, Any] = {}
        self.lines: dict[tuple[str, str], Any] = {}
        self.marks: dict[str, Any] = {}
        self.events = 0

    def until_seen(self, condition: Callable[[Look], bool]) -> Look:
        """Read on until this holds, and at least the first event."""
        if self.events and condition(self):
            return self
        for event in self:
            self._put(event)
            if condition(self):
                return self
        raise AssertionError(f"the stream has ended; seen: {self.seen}")

    def _put(self, event: Event) -> None:
        if event.kind != "view":
            return
        self.events += 1
        if event.data.get("whole"):
            self.lines, self.marks = {}, {}
        self.seen |= event.data
        for line in event.data["lines"]:
            self.lines[line["caller"], line["conversation"]] = line
        for idle in event.data["idle"]:
            self.lines.pop((idle["caller"], idle["conversation"]), None)
        self.marks |= {mark["id"]: mark for mark in event.data["marks"]}

    def turns(self, conversation: str = "default", caller: str = "") -> list[Any]:
        line = self.lines.get((caller, conversation))
        return line["turns"] if line else []

    def states(self) -> dict[str, str]:
        """What those have come to whose end was told."""
        return {turn_id: mark["state"] for turn_id, mark in self.marks.items()}
