"""AG-UI's clients (`@ag-ui/client`, CopilotKit): `POST /ag-ui`, a run for each turn.

A thread is a conversation, by the id that the client gave it. What the client sends of the
past is not read: the conversation's own history is what the agent is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from runner.api import documents
from runner.api.asking import ask
from runner.api.exchange import Answer, Headers, Request, Response, to_json
from runner.api.openapi import Route
from runner.api.operations import door
from runner.api.parsing import make_submission
from runner.api.problems import problem_text
from runner.api.stream import HEADERS
from runner.doors.ag_ui.events import RunEvents
from runner.doors.ag_ui.run import Run, parse_run
from runner.doors.door import Door
from runner.settings import Settings
from runner.turns.events import Cursor
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

__all__ = ["DOOR"]


async def ag_ui_run(service: Service, request: Request) -> Response:
    """One run: always a stream, whatever is accepted; the protocol has nothing else."""
    asked = await parse_run(service, request)
    message, content = asked.message, asked.content
    submission = make_submission(service, request, asked.thread, message, content, stream=True)
    return await ask(service, request, submission, RunForm(service, asked))


@dataclass(frozen=True, slots=True)
class RunForm:
    service: Service
    run: Run

    def ended(self, live: LiveTurn, headers: Headers) -> Answer:
        """Of a turn that is not streamed, as it could not be written down."""
        document = documents.ended(self.service, live)
        if "title" in document:
            return refuse(document, headers)
        words = self.words(live)
        told = map(words.encode, Cursor().all_new(live))
        return Answer(200, (*HEADERS, *words.headers, *headers), words.opening() + b"".join(told))

    def accepted(self, live: LiveTurn, headers: Headers) -> Answer:
        return documents.accepted(live, headers)

    def words(self, live: LiveTurn) -> RunEvents:
        return RunEvents(self.service, live, self.run)


def refuse(document: Mapping[str, Any], headers: Headers) -> Answer:
    """A refusal. The client's error has this JSON as its `payload`, and as its message too."""
    found = [("content-type", "application/json"), ("turn-outcome", document["outcome"]), *headers]
    if (retry_after_s := document.get("retry_after_s")) is not None:
        found.append(("retry-after", str(ceil(retry_after_s))))
    told = {"message": problem_text(document), **document}
    return Answer(document["status"], tuple(found), to_json(told))


def routes(settings: Settings) -> tuple[Route, ...]:
    described = door("Run the agent, for clients of AG-UI", stream=True, body=True)
    return (Route("POST", "/ag-ui", ag_ui_run, described, any_query=True, refuse=refuse),)


DOOR = Door("ag_ui", "clients of AG-UI, such as CopilotKit: POST /ag-ui", routes)
