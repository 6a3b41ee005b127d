"""The events of a turn, told from what it is and from what a client has seen already.

There is no log of events. An event's id says all that its client has seen by then:
`1.57` is 57 characters of the first attempt, `0w3` the third place in the line before
any, `1e` the end. So a stream can be resumed from an id alone, in another process too;
a slow reader is sent what has come meanwhile as one piece, and holds nothing up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from runner.turns.live_turn import LiveTurn
from strategies import State

Kind = Literal["queued", "position", "started", "delta", "end"]

ID = re.compile(r"(\d{1,9})(?:w(\d{1,9})|\.(\d{1,12})|(e))")


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `text` is of a delta, and `pieces` how many of the agent's it joins."""

    id: str
    kind: Kind
    text: str = ""
    pieces: int = 0


class Cursor:
    """What one client has seen of a turn.

    Made from the id of the last event that it has; an unknown id means: start from the
    beginning.
    """

    def __init__(self, last_event_id: str = "") -> None:
        self._attempt = 0
        self._position: int | None = None
        self._place: int | None = None
        self.at_end = False
        match = ID.fullmatch(last_event_id)
        if match is not None:
            self._attempt = int(match[1])
            self._position = int(match[2]) if match[2] else None
            self._place = int(match[3]) if match[3] else None
            self.at_end = match[4] is not None

    def all_new(self, live: LiveTurn) -> Iterator[Event]:
        """What there is now that the client has not seen."""
        while (event := self.next(live)) is not None:
            yield event

    def next(self, live: LiveTurn) -> Event | None:
        """The next event, or None where there is nothing new."""
        if self.at_end:
            return None
        if self._place is not None and self._attempt == live.attempts and live.is_called:
            return self._said(live) or self._ended(live)
        if self._position is None and self._place is None:
            return self._queued(live, "queued")
        if live.state is State.WAITING:
            return self._queued(live, "position")
        if live.attempts > 0 and (self._place is None or self._attempt != live.attempts):
            return self._started(live)
        return self._said(live) or self._ended(live)

    def _queued(self, live: LiveTurn, kind: Kind) -> Event | None:
        place = live.ticket.place() if live.ticket is not None else None
        # A strategy that does not know the place tells once that the turn waits.
        position = (place.position or 0) if place is not None else 0
        if position == self._position:
            return None
        self._position = position
        return Event(f"{live.attempts}w{position}", kind)

    def _started(self, live: LiveTurn) -> Event | None:
        if live.ending is None and not live.is_called:
            return None  # It has a slot, and the agent is about to be called.
        self._attempt, self._place = live.attempts, 0
        return Event(f"{self._attempt}.0", "started")

    def _said(self, live: LiveTurn) -> Event | None:
        if self._place is None:
            return None
        text, pieces = live.text.since(self._place)
        if not text:
            return None
        self._place += len(text)
        return Event(f"{self._attempt}.{self._place}", "delta", text, pieces)

    def _ended(self, live: LiveTurn) -> Event | None:
        if live.ending is None:
            return None
        self.at_end = True
        return Event(f"{live.attempts}e", "end")
