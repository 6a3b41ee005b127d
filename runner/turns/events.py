"""The events of a turn, told from what it is and from what a client has seen already.

There is no log of events. An event's id says all that its client has seen by then:
`1.57` is 57 characters of the first attempt, `1.57-2` these and two events of other kinds
between them, `0w3` the third place in the line before any, `1e` the end. So a stream can be
resumed from an id alone, in another process too; a slow reader is sent what has come meanwhile
as one piece, and holds nothing up. What is no text is not kept with a reply: after a restart
it is not told again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from runner.agents.base import Told
from runner.turns.live_turn import LiveTurn
from strategies import State

Kind = Literal["queued", "position", "started", "delta", "told", "end"]

NUMBER = "(0|[1-9][0-9]{0,8})"
ID = re.compile(rf"{NUMBER}(?:w{NUMBER}|\.(0|[1-9][0-9]{{0,11}})(?:-([1-9][0-9]{{0,8}}))?|(e))")


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `text` is of a delta, and `pieces` how many of the agent's it joins.

    told  what the agent told, of an event of that kind.
    """

    id: str
    kind: Kind
    text: str = ""
    pieces: int = 0
    told: Told | None = None


class Cursor:
    """What one client has seen of a turn; nothing yet, as it is made."""

    def __init__(self) -> None:
        self._attempt = 0
        self._position: int | None = None
        self._place: int | None = None
        self._heard = 0
        self.at_end = False

    @classmethod
    def after(cls, event_id: str, live: LiveTurn) -> Cursor:
        """Of a client that has seen this event of the turn, and those before it.

        An id that the turn cannot have given means: start from the beginning.
        """
        cursor = cls()
        if (match := ID.fullmatch(event_id)) is None:
            return cursor
        attempt, position, place, heard = (
            None if part is None else int(part) for part in match.group(1, 2, 3, 4)
        )
        assert attempt is not None
        if match[5] is not None:
            cursor.at_end = live.ending is not None and attempt == live.attempts
        elif attempt <= live.attempts and (
            place is None or _has_said(live, attempt, place, heard or 0)
        ):
            cursor._attempt, cursor._position, cursor._place = attempt, position, place
            cursor._heard = heard or 0
        return cursor

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
        self._attempt, self._place, self._heard = live.attempts, 0, 0
        return Event(f"{self._attempt}.0", "started")

    def _said(self, live: LiveTurn) -> Event | None:
        if self._place is None:
            return None
        told = live.told[self._heard] if self._heard < len(live.told) else None
        text, pieces = live.text.since(self._place, None if told is None else told[0])
        if text:
            self._place += len(text)
            return Event(self._id(), "delta", text, pieces)
        if told is None:
            return None
        self._heard += 1
        return Event(self._id(), "told", told=told[1])

    def _id(self) -> str:
        heard = f"-{self._heard}" if self._heard else ""
        return f"{self._attempt}.{self._place}{heard}"

    def _ended(self, live: LiveTurn) -> Event | None:
        if live.ending is None:
            return None
        self.at_end = True
        return Event(f"{live.attempts}e", "end")


def _has_said(live: LiveTurn, attempt: int, place: int, heard: int) -> bool:
    """Whether the attempt came so far in its text and its events, or nobody can tell any more."""
    if live.is_elsewhere and live.ending is None:
        return 0 < attempt == live.attempts
    if attempt == live.attempts and live.is_called and not _is_lost(live):
        return place <= len(live.text) and _has_told(live, place, heard)
    return attempt > 0  # That process is gone, and its text is too.


def _has_told(live: LiveTurn, place: int, heard: int) -> bool:
    """Whether so many events were told up to this place: no more, and none is left before it."""
    told = live.told
    if not told:  # They are not kept with a reply, and there may have been some.
        return not heard or live.ending is not None
    is_before = heard <= len(told) and (not heard or told[heard - 1][0] <= place)
    return is_before and (heard == len(told) or told[heard][0] >= place)


def _is_lost(live: LiveTurn) -> bool:
    """Whether what was said may not be there any more: it is kept with a reply only."""
    return live.ending is not None and live.ending.reply is None
