"""What became of a turn, as the result of a tool: for a model to read, and for a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.api import documents
from runner.api.exchange import to_json
from runner.api.problems import problem_text
from runner.callers import own_id
from runner.doors.mcp.protocol import META, Message, as_object
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

HOW_TO_ANSWER = "Put this to a person, and answer with the tool `resume`:"


def ended(service: Service, live: LiveTurn, message: Message) -> Mapping[str, Any]:
    document = documents.ended(service, live)
    if "title" in document:
        return failed(document)
    requests = document.get("requests", [])
    if requests and _asks_its_user(message):
        return elicited(requests)
    return _result("\n\n".join(filter(None, (document["response"], _told(requests)))), document)


def failed(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    """A failure or a refusal: a model reads the words, and may do something about it."""
    words = problem_text(problem)
    if "retry_after_s" in problem:
        words += f" Try again in {max(1, round(problem['retry_after_s']))} s."
    told = _told(problem.get("requests", []))
    return {**_result("\n\n".join(filter(None, (words, told))), problem), "isError": True}


def accepted(live: LiveTurn) -> Mapping[str, Any]:
    document = {
        "status": "accepted",
        "conversation_id": own_id(live.turn.conversation),
        "state": live.state,
        **documents.standing(live),
    }
    return _result(f"Accepted; the reply will be at /turns/{live.turn.id}", document)


def _result(text: str, document: Mapping[str, Any]) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    return {"content": content, "structuredContent": document, "isError": False}


def _told(requests: list[documents.InputRequest]) -> str:
    """The requests in words, since not every client shows a model the structured content."""
    lines = [f"- {one['id']}: {_prompt(one)}" for one in requests]
    return "\n".join([HOW_TO_ANSWER, *lines]) if lines else ""


def _prompt(request: documents.InputRequest) -> str:
    if "name" not in request:
        return request.get("prompt", "The agent has a question.")
    arguments = to_json(request.get("arguments", {})).decode()
    said = f"{request['prompt']} " if "prompt" in request else ""
    return f"{said}May it use {request['name']} with {arguments}?"


# A client of the modern era that can ask its user does so, and calls again with the answers.


def _asks_its_user(message: Message) -> bool:
    can = as_object(message.meta.get(f"{META}clientCapabilities")).get("elicitation")
    return message.is_modern and isinstance(can, dict) and (not can or "form" in can)


def elicited(requests: list[documents.InputRequest]) -> Mapping[str, Any]:
    """The result that asks for another call. It needs no state: the store has the requests."""
    asked = {one["id"]: _elicitation(one) for one in requests}
    return {"resultType": "input_required", "inputRequests": asked}


def _elicitation(request: documents.InputRequest) -> Mapping[str, Any]:
    text = {"type": "string"}
    if request["kind"] == "approval":
        properties = {"approve": {"type": "boolean"}, "reason": text}
        required = ["approve"]
    else:
        properties, required = {"answer": text}, ["answer"]
    schema = {"type": "object", "properties": properties, "required": required}
    params = {"mode": "form", "message": _prompt(request), "requestedSchema": schema}
    return {"method": "elicitation/create", "params": params}
