"""`GET /history` and `GET /health`: what was said, and how the server is."""

from __future__ import annotations

from runner.api import documents
from runner.api.chat import check_conversation
from runner.api.exchange import Answer, Request, json_answer
from runner.api.parsing import parse_conversation, parse_count
from runner.api.problems import TURN_CAUSES, problem
from runner.turns.callers import scoped
from runner.turns.service import Service
from strategies import Draining


async def history(service: Service, request: Request) -> Answer:
    asked = request.query("conversation_id")
    conversation = parse_conversation(asked, service.settings.server, "?conversation_id")
    check_conversation(service, conversation)
    count = parse_count(request.query("count"), 1)
    messages = await service.messages(scoped(request.caller, conversation), count)
    document: documents.Messages = {"status": "success", "messages": messages}
    return json_answer(200, document)


async def health(service: Service, request: Request) -> Answer:
    return json_answer(200, documents.health(service))


async def live(service: Service, request: Request) -> Answer:
    document: documents.Probe = {"status": "alive"}
    return json_answer(200, document)


async def ready(service: Service, request: Request) -> Answer:
    if not service.ready:
        detail = "Draining." if service.draining else "Starting."
        return problem(TURN_CAUSES[Draining], detail)
    document: documents.Probe = {"status": "ready"}
    return json_answer(200, document)
