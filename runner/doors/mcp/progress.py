"""A call as a stream: where its turn stands as progress, and at the end the result.

A stream of the era of handshakes can be taken up again, after a restart of the server too. The
id of an event has all that this needs: the turn, what was seen of it, and which call it is.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Self

from pydantic_core import from_json

from runner.api import documents
from runner.api.exchange import Headers, to_json
from runner.api.stream import event
from runner.doors.mcp import results
from runner.doors.mcp.ongoing import Ongoing
from runner.doors.mcp.protocol import Message, is_id, result_of
from runner.turns.events import Event
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

RETRY = b"retry: 4000\n"
"""What a client waits before it takes the stream up, in milliseconds. The official one tries
twice: that is to outlast a restart, which may take five seconds. The first event follows, an
empty one would be no message."""

TELL_TEXT_S = 1.0
"""How often it is told that the reply grows, which keeps clients from losing their patience."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client is in a stream.

    event_id  of ours, see `runner.turns.events`.
    told      how often progress was told: it has to grow.
    """

    turn_id: str
    event_id: str
    told: int
    call_id: str | int
    token: str | int

    def __str__(self) -> str:
        parts = [self.turn_id, self.event_id, self.told, self.call_id, self.token]
        return urlsafe_b64encode(to_json(parts)).decode()

    @classmethod
    def parse(cls, value: bytes) -> Self | None:
        try:
            turn_id, event_id, told, call_id, token = from_json(urlsafe_b64decode(value))
        except (ValueError, TypeError):
            return None
        is_ours = isinstance(turn_id, str) and isinstance(event_id, str) and type(told) is int
        if not (is_ours and is_id(call_id) and is_id(token)):
            return None
        return cls(turn_id, event_id, told, call_id, token)


@dataclass(slots=True, eq=False)
class CallWords:
    """Of a call whose client gave a progress token.

    told     how often progress was told.
    resumes  it is taken up again.
    """

    service: Service
    live: LiveTurn
    message: Message
    token: str | int
    ongoing: Ongoing
    told: int = 0
    resumes: bool = False
    _text_told_at: float = field(default_factory=monotonic, init=False)

    @property
    def headers(self) -> Headers:
        return ()

    def opening(self) -> bytes:
        return b"" if self.message.is_modern or self.resumes else RETRY

    def encode(self, told: Event) -> bytes:
        match told.kind:
            case "end":
                result = results.ended(self.service, self.live, self.message)
                return self._event(result_of(self.message, result), told)
            case "queued" | "position":
                return self._progress(_standing(self.live), told)
            case "started":
                again = f", attempt {self.live.attempts}" if self.live.attempts > 1 else ""
                return self._progress(f"The agent works on it{again}", told)
            case "told":
                assert told.told is not None
                if told.told.kind != "tool_call":
                    return b""
                return self._progress(f"It uses {from_json(told.told.data)['name']}", told)
            case "delta":
                if monotonic() - self._text_told_at < TELL_TEXT_S:
                    return b""
                self._text_told_at = monotonic()
                return self._progress(f"{len(self.live.text)} characters of the reply", told)

    def _progress(self, message: str, told: Event) -> bytes:
        self.told += 1
        params = {"progressToken": self.token, "progress": self.told, "message": message}
        return self._event(to_json(notification("notifications/progress", params)), told)

    def _event(self, data: bytes, told: Event) -> bytes:
        if self.message.is_modern:  # In that era a stream that is cut is a call that is cancelled.
            return event(data)
        assert self.message.id is not None
        place = Place(self.live.turn.id, told.id, self.told, self.message.id, self.token)
        return event(data, event_id=str(place))


def notification(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def _standing(live: LiveTurn) -> str:
    standing = documents.standing(live)
    if not standing["position"]:
        return "Accepted"
    soon = standing["eta_s"]
    about = "" if soon is None else f", about {max(1, round(soon))} s to wait"
    return f"Place {standing['position']} in the line{about}"
