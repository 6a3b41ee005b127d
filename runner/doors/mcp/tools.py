"""The tools: what they are called, what they take, and what a call asks of us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runner.api.content import parse_content
from runner.api.exchange import Request
from runner.api.names import as_pointer
from runner.api.parsing import check_conversation, make_submission, parse_conversation
from runner.api.problems import wrong_field
from runner.doors.mcp.protocol import INVALID_PARAMS, Message, ProtocolError, as_object
from runner.turns.service import Service
from runner.turns.submission import Submission

CONVERSATION = {
    "type": "string",
    "pattern": "^[A-Za-z0-9._:-]+$",
    "description": "Which conversation to continue; an id that is new begins one. "
    "Without it, the conversation `default`.",
}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
DECISION = {
    "type": "object",
    "properties": {"approve": {"type": "boolean"}, "value": {}, "reason": {"type": "string"}},
    "required": ["approve"],
}
DECISIONS = {
    "anyOf": [{"type": "object", "additionalProperties": DECISION}, {"const": "cancel"}],
    "description": "A decision for the id of each request that is open: approve or not, a "
    "`value` that answers a question, a `reason` why not. Or `cancel`, to drop them all.",
}
ASK = (
    "Send a message to the agent `{agent}` and get its reply. It remembers its conversations; "
    "messages of one conversation are answered one at a time, in order."
)
RESUME = (
    "Answer what the agent `{agent}` asked of a person: after `ask` returned requests, with the "
    "status `input_required`. Ask the person first; do not decide for them."
)


def listed(service: Service) -> list[dict[str, Any]]:
    """Both tools, as `tools/list` shows them."""
    message = {"type": "string", "minLength": 1, "description": "What to say to the agent."}
    about = {**TEXTS, "description": "Notes for the agent's own use, at most 16."}
    return [
        _tool(service, "ask", "Ask the agent", ASK, {"message": message, "metadata": about}),
        _tool(service, "resume", "Answer the agent", RESUME, {"decisions": DECISIONS}),
    ]


def _tool(
    service: Service, name: str, title: str, text: str, takes: dict[str, Any]
) -> dict[str, Any]:
    needs = next(iter(takes))
    if not service.about.single_conversation:
        takes["conversation_id"] = CONVERSATION
    return {
        "name": name,
        "title": title,
        "description": text.format(agent=service.settings.agent.id),
        "inputSchema": {"type": "object", "properties": takes, "required": [needs]},
    }


def parse_call(service: Service, request: Request, message: Message) -> Submission:
    """The turn that a call asks for. Raises RequestError, ProtocolError."""
    given = as_object(message.params.get("arguments"))
    limits = service.settings.server
    fields = _fields(message, given)
    own = parse_conversation(given.get("conversation_id"), limits, "/conversation_id")
    check_conversation(service, own, "/conversation_id")
    text, content = parse_content(fields, limits, service.about)
    takes_events = b"text/event-stream" in request.headers.get(b"accept", b"").lower()
    stream = takes_events and message.progress_token is not None
    submission = make_submission(service, request, own, text, content, stream=stream)
    return _as_its_era_leaves(message, submission)


def _as_its_era_leaves(message: Message, submission: Submission) -> Submission:
    """What it means that the client has gone: to cancel, or nothing, if it may come back."""
    if "on-disconnect" in submission.applied:
        return submission
    if message.is_modern:
        return replace(submission, on_disconnect="cancel")
    return replace(submission, on_disconnect="continue") if submission.stream else submission


def _fields(message: Message, given: Mapping[str, Any]) -> dict[str, Any]:
    """As the body of `/chat` would have them."""
    name = message.params.get("name")
    if name not in ("ask", "resume"):
        raise ProtocolError(INVALID_PARAMS, f"Unknown tool: {name!r:.100}")
    if message.is_modern and "inputResponses" in message.params:
        return {"resume": _answers(message.params["inputResponses"])}
    if name == "ask":
        _check_names(given, "message", "conversation_id", "metadata")
        return {name: given[name] for name in ("message", "metadata") if name in given}
    _check_names(given, "decisions", "conversation_id")
    return {"resume": given.get("decisions")}


def _check_names(given: Mapping[str, Any], *known: str) -> None:
    for name in given:
        if name not in known:
            detail = f"There is no such argument; there are {', '.join(known)}."
            raise wrong_field(f"/{as_pointer(name)}", detail)


# Answers that a client got by asking its user itself: see `results.elicited`.


def _answers(responses: object) -> str | dict[str, Any]:
    found = as_object(responses)
    if not found or not all(as_object(one) for one in found.values()):
        raise ProtocolError(INVALID_PARAMS, "inputResponses has a result for each request.")
    if any(one.get("action") == "cancel" for one in found.values()):
        return "cancel"
    return {name: _decision(one) for name, one in found.items()}


def _decision(result: Mapping[str, Any]) -> dict[str, Any]:
    said = as_object(result.get("content"))
    if result.get("action") != "accept":
        return {"approve": False, "reason": "declined"}
    decision = {"approve": said.get("approve", True), "reason": said.get("reason") or ""}
    return decision | ({"value": said["answer"]} if "answer" in said else {})
