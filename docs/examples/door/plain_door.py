"""A door for a shell: `curl --data "Hello" HOST/say/CONVERSATION` is answered in plain text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.api import documents
from runner.api.asking import ask
from runner.api.content import parse_content
from runner.api.exchange import Answer, Headers, Request, Response, to_json
from runner.api.operations import door
from runner.api.parsing import check_conversation, make_submission, parse_conversation
from runner.api.stream import event
from runner.doors import Door, Route
from runner.settings import Settings
from runner.turns.events import Event
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

TEXT = ("content-type", "text/plain; charset=utf-8")


async def say(service: Service, request: Request) -> Response:
    """Ask for a turn. What is wrong, and what is refused, is raised, and told by `refuse`."""
    limits = service.settings.server
    own = parse_conversation(request.params["conversation"], limits, "/conversation")
    check_conversation(service, own, "/conversation")
    said = {"message": request.body.decode("utf-8", errors="replace").strip()}
    message, content = parse_content(said, limits, service.about)
    stream = request.headers.get(b"accept") == b"text/event-stream"
    submission = make_submission(service, request, own, message, content, stream=stream)
    return await ask(service, request, submission, PlainForm(service))


@dataclass(frozen=True)
class PlainForm:
    """How the client is told of its turn."""

    service: Service

    def ended(self, live: LiveTurn, headers: Headers) -> Answer:
        document = documents.ended(self.service, live)
        if "response" not in document:
            return refuse(document, headers)
        return Answer(200, (TEXT, *headers), f"{document['response']}\n".encode())

    def accepted(self, live: LiveTurn, headers: Headers) -> Answer:
        """Of `Prefer: respond-async`."""
        return Answer(202, (TEXT, *headers), f"See /turns/{live.turn.id}\n".encode())

    def words(self, live: LiveTurn) -> PlainWords:
        return PlainWords(self.service, live)


@dataclass(frozen=True)
class PlainWords:
    """The same of a stream: its pieces, and what went wrong if it did."""

    service: Service
    live: LiveTurn
    headers: Headers = ()

    def opening(self) -> bytes:
        return b""

    def encode(self, told: Event) -> bytes:
        if told.kind == "delta":
            return event(to_json(told.text))
        if told.kind != "end":
            return b""
        document = documents.ended(self.service, self.live)
        return event(to_json(document), "failed") if "title" in document else b""


def refuse(document: Mapping[str, Any], headers: Headers) -> Answer:
    """A problem document in the words of this door."""
    head: Headers = (TEXT, ("turn-outcome", document["outcome"]), *headers)
    if "retry_after_s" in document:
        head = (*head, ("retry-after", f"{document['retry_after_s']:.0f}"))
    return Answer(document["status"], head, f"{document['title']}: {document['detail']}\n".encode())


def routes(settings: Settings) -> tuple[Route, ...]:
    described = door("Say something, in plain text", stream=True)
    return (Route("POST", "/say/{conversation}", say, described, refuse=refuse),)


DOOR = Door("plain", "a shell: curl --data TEXT http://HOST/say/CONVERSATION", routes)
