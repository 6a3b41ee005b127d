"""A turn's events as those of a response, numbered so that a client can come back after any.

No numbers are kept. A number is where its event stands in the turn: each character of the
reply counts, and each other event does. So a stream that is resumed begins anew, and what its
client has seen is left out: also in another process, and where the pieces are cut otherwise.
An attempt has numbers of its own, above those of the attempts before; within it those of
events after the first that is no text are apart, for these are not kept with a reply. All fit
into 31 bits, which some clients have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from runner.api.exchange import Headers, to_json
from runner.api.stream import event
from runner.doors.openai.response_items import Output
from runner.doors.openai.response_object import finish, of_output, status_of
from runner.turns.ending import is_for_later
from runner.turns.events import Event
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from strategies import State

WAITING = 1000
"""Numbers for a turn that waits, before its first attempt."""

HALF = 1 << 26
"""Numbers of an attempt before something is told that is no text, and after."""

LAST = {"completed": "response.completed", "incomplete": "response.incomplete"}


@dataclass(slots=True)
class ResponseWords:
    """`Words` for a client that has seen the events up to the number `after`; -1 for none."""

    service: Service
    live: LiveTurn
    after: int = -1
    told: Headers = ()
    output: Output = field(init=False)
    _number: int = 0
    _heard: int = 0

    def __post_init__(self) -> None:
        self.output = Output(self.live.turn.id, self.service.settings.agent.id)

    @property
    def headers(self) -> Headers:
        return self.told

    def opening(self) -> bytes:
        return b""

    def encode(self, told: Event) -> bytes:
        return b"".join(self._encode(told))

    def _encode(self, told: Event) -> Iterator[bytes]:
        match told.kind:
            case "queued" | "position":
                yield from self._wait(is_first=told.kind == "queued")
            case "started":
                yield from self._start()
            case "end":
                yield from self._end()
            case _:
                if told.kind == "told":
                    self._heard = HALF
                for kind, members in self.output.feed(told):
                    yield self._numbered(kind, members)

    def _wait(self, *, is_first: bool) -> Iterator[bytes]:
        if is_first and self.after < 0:
            yield self._say("response.created", 0, self._going_on())
        self._number = max(self._number, self.after) + 1
        # Nobody counts so many places; the numbers after it are of the first attempt.
        if self.live.state is State.WAITING and (self._number < WAITING or self.live.attempts):
            yield self._say("response.queued", self._number, self._going_on())

    def _start(self) -> Iterator[bytes]:
        for kind, members in self.output.close(done=False):
            yield self._numbered(kind, members)
        self.output.era = self._era()
        self._number, self._heard = WAITING + (self.output.era - 1) * 2 * HALF, 0
        yield self._numbered("response.in_progress", self._going_on())

    def _era(self) -> int:
        """The attempt, or a later number where what was seen of it cannot be found again."""
        attempt = max(self.live.attempts, 1)
        if self.after < WAITING:
            return attempt
        seen, place = divmod(self.after - WAITING, 2 * HALF)
        is_lost = self.live.ending is not None and not self.live.told and place >= HALF
        return max(attempt, seen + 2 if is_lost or seen >= attempt else seen + 1)

    def _end(self) -> Iterator[bytes]:
        if is_for_later(self.live.ending):
            return  # It has no end yet, and its client may come back for that.
        for kind, members in finish(self.service, self.live, self.output):
            yield self._numbered(kind, members)
        number = self._number + self._heard + 1
        if number == self.after:
            return
        # Of a reply that was lost the client may have seen more than there is now.
        kind = LAST.get(status_of(self.live), "response.failed")
        yield self._say(kind, max(number, self.after + 1), {"response": self._response()})

    def _going_on(self) -> dict[str, Any]:
        """As it was then, also where its end is known by now."""
        status = "queued" if self.live.state is State.WAITING else "in_progress"
        return {"response": self._response() | {"status": status, "error": None}}

    def _response(self) -> dict[str, Any]:
        return of_output(self.service, self.live, self.output)

    def _numbered(self, kind: str, members: dict[str, Any]) -> bytes:
        before = self._number + self._heard
        is_text = kind == "response.output_text.delta"
        self._number += len(members["delta"]) if is_text else 1
        number = self._number + self._heard
        if number <= self.after:
            return b""
        if is_text and before < self.after:
            members = members | {"delta": members["delta"][self.after - before :]}
        return self._say(kind, number, members)

    def _say(self, kind: str, number: int, members: dict[str, Any]) -> bytes:
        return event(to_json({"type": kind, "sequence_number": number, **members}), kind)
