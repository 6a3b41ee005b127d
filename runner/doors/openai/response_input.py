"""What `POST /v1/responses` is sent: the new message of a turn, or answers to its agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from runner.api.content import parse_content
from runner.api.problems import Refusal, RequestError, wrong_field
from runner.doors.openai.response_parts import as_parts, listed, pointed
from runner.turns.content import Content
from runner.turns.service import Service

INPUT_IS = 'The body needs "input": a text that is not empty, or a list of items with a message.'
KEPT_HERE = (
    "This server keeps the conversation. Name it (`conversation` or `previous_response_id`), and "
    "send only what is new: what was said before is not taken from a client."
)
OWN_TOOLS = "The agent runs its own tools, and takes no results of tools from a client."
PAST = (
    "reasoning", "function_call", "mcp_call", "mcp_list_tools", "mcp_approval_request",
    "item_reference", "web_search_call", "file_search_call", "code_interpreter_call",
)  # fmt: skip
"""Items of what was answered before."""

MATTERS = ("instructions", "tools", "prompt")
"""Fields that would change an answer of OpenAI's, and none of an agent."""


def parse_input(service: Service, fields: Mapping[str, Any]) -> tuple[str, Content | None]:
    """The message as text, and what is asked besides. Raises RequestError."""
    asked: dict[str, Any] = {"metadata": fields.get("metadata")}
    sent = fields.get("input")
    if "resume" in fields and not sent:
        asked["resume"] = fields["resume"]
    else:
        asked |= _message(sent)
    try:
        return parse_content(asked, service.settings.server, service.about)
    except RequestError as error:  # It speaks of our own fields.
        document = error.refusal.document
        pointer = str(document.get("pointer")).replace("/message", "/input")
        if sent:
            pointer = pointer.replace("/resume", "/input")
        error.refusal = Refusal({**document, "pointer": pointer}, error.refusal.headers)
        raise


def ignored(fields: Mapping[str, Any]) -> str:
    """Names of what was sent, and changes nothing: the agent has its own."""
    names = [name for name in MATTERS if fields.get(name)]
    for item in items_of(fields.get("input")):
        role = item.get("role")
        if role in ("system", "developer") and role not in names:
            names.append(role)
    return ", ".join(names)


def items_of(sent: object) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", item) for item in listed(sent) if isinstance(item, dict)]


def _message(sent: object) -> dict[str, Any]:
    """Fields as `/chat` has them."""
    if isinstance(sent, str) and sent:
        return {"message": sent}
    if not (items := listed(sent)):
        raise wrong_field("/input", INPUT_IS)
    parts: list[Any] = []
    answers: dict[str, Any] = {}
    for place, item in enumerate(items):
        pointer = f"/input/{place}"
        if not isinstance(item, dict):
            raise wrong_field(pointer, INPUT_IS)
        _take(cast("dict[str, Any]", item), pointer, parts, answers)
    if parts and answers:
        detail = "Send answers to the agent's requests, or a message, not both."
        raise wrong_field("/input", detail)
    if not parts and not answers:
        raise wrong_field("/input", INPUT_IS)
    return {"resume": answers} if answers else {"message": _joined(parts)}


def _take(item: dict[str, Any], pointer: str, parts: list[Any], answers: dict[str, Any]) -> None:
    kind, role = item.get("type", "message"), item.get("role")
    if kind == "mcp_approval_response":
        answers[str(item.get("approval_request_id"))] = _answer(item)
    elif kind in PAST or (kind == "message" and role == "assistant"):
        raise wrong_field(pointer, KEPT_HERE)
    elif isinstance(kind, str) and kind.endswith("_output"):
        raise wrong_field(pointer, OWN_TOOLS)
    elif kind != "message" or role not in ("user", "system", "developer"):
        raise wrong_field(pointer, "The items of a turn are messages of a user's, and approvals.")
    elif role == "user":
        parts += as_parts(item.get("content"), pointed(pointer, "content"))


def _answer(item: Mapping[str, Any]) -> dict[str, Any]:
    said = {"approve": item.get("approve")}
    return said | {"reason": item["reason"]} if item.get("reason") else said


def _joined(parts: list[Any]) -> Any:
    """A message of one text is that text."""
    is_text = len(parts) == 1 and parts[0]["type"] == "text"
    return parts[0]["text"] if is_text and parts[0]["text"] else parts
