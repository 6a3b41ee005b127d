"""`POST /chat`, and a turn's events: our own words for a turn that is going on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runner.api import documents
from runner.api.asking import ask
from runner.api.exchange import Answer, Headers, Request, Response, to_json
from runner.api.handlers import find_turn
from runner.api.parsing import parse_submission
from runner.api.stream import EventStream, event
from runner.turns.events import Cursor, Event
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from strategies import TurnError

RETRY = b"retry: 1000\n\n"
"""What a browser waits before it reconnects, in milliseconds: about what a restart takes."""


async def chat(service: Service, request: Request) -> Response:
    """Submit the turn, and answer as was asked for."""
    submission = parse_submission(service, request)
    try:
        return await ask(service, request, submission, OwnForm(service))
    except TurnError as error:
        return documents.refused(service, submission.turn, error)


async def events(service: Service, request: Request) -> Response:
    """`GET /turns/{id}/events`. A client that has seen the end is told not to come again."""
    live = await find_turn(service, request)
    last_id = request.headers.get(b"last-event-id", b"").decode("latin1")
    cursor = Cursor.after(last_id, live)
    if cursor.at_end:
        return Answer(204)
    return EventStream(service, live, cursor, OwnWords(service, live))


@dataclass(frozen=True, slots=True)
class OwnForm:
    service: Service

    def ended(self, live: LiveTurn, headers: Headers) -> Answer:
        return documents.ended_answer(self.service, live, headers)

    def accepted(self, live: LiveTurn, headers: Headers) -> Answer:
        return documents.accepted(live, headers)

    def words(self, live: LiveTurn) -> OwnWords:
        return OwnWords(self.service, live)


@dataclass(frozen=True, slots=True)
class OwnWords:
    service: Service
    live: LiveTurn

    @property
    def headers(self) -> Headers:
        return (("location", f"/turns/{self.live.turn.id}"),)

    def opening(self) -> bytes:
        return RETRY

    def encode(self, told: Event) -> bytes:
        live = self.live
        kind: str = told.kind
        data: Mapping[str, object]
        match told.kind:
            case "delta":  # By hand: it is nearly all that a stream is.
                joined = b',"pieces":%d' % told.pieces if told.pieces > 1 else b""
                return event(b'{"text":%b%b}' % (to_json(told.text), joined), kind, told.id)
            case "queued" | "position":
                data = documents.standing(live)
            case "told":
                assert told.told is not None
                return event(told.told.data, told.told.kind, told.id)
            case "started":
                data = {"turn_id": live.turn.id, "attempt": live.attempts}
            case "end":
                data = documents.ended(self.service, live)
                # Not `error`: an EventSource fires that itself when its connection is lost.
                kind = "failed"
                if "response" in data:
                    kind = "done" if data["status"] == "success" else "input_required"
        return event(to_json(data), kind, told.id)
