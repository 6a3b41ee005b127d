"""What an agent needs a person for, as LangGraph's interrupts; `command.resume` as answers.

An approval looks as LangChain's HumanInTheLoopMiddleware asks for it, since its clients'
pages know that. A text is no answer to it: "no" must not be taken for consent.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from runner.api.problems import wrong_field
from runner.doors.langgraph.given import as_dict, as_list

Requests = list[dict[str, Any]]

POINTER = "/command/resume"
APPROVAL_IS = (
    'An approval is answered with true or false, or {"type": "approve"}, '
    '{"type": "reject", "message": "..."} or {"type": "edit", "edited_action": {"args": {...}}}.'
)
EACH = (
    "Several requests are open ({}): resume with an object that has an answer for the id of each."
)
NOTHING_OPEN = "Nothing is open in this thread; send a message as input."
OWN = {"approve", "value", "reason"}
YES, NO, EDIT = ("approve", "accept"), ("reject", "ignore"), ("edit",)


def opened(requests: bytes | None) -> Requests:
    return [] if requests is None else from_json(requests)


def interrupts(requests: Requests) -> list[dict[str, Any]]:
    return [{"value": _value(one), "id": one["id"]} for one in requests]


def _value(request: dict[str, Any]) -> Any:
    prompt, arguments = request.get("prompt") or "", request.get("arguments")
    if request["kind"] != "approval":
        return prompt if arguments is None else arguments
    name = request.get("name") or ""
    action: dict[str, Any] = {"name": name, "args": arguments or {}, "description": prompt}
    review: dict[str, Any] = {"action_name": name, "allowed_decisions": ["approve", "reject"]}
    return {"action_requests": [action], "review_configs": [review]}


def answers(requests: Requests, resume: object) -> dict[str, Any]:
    """`resume` as `/chat` takes it. Raises RequestError."""
    if not requests:
        raise wrong_field(POINTER, NOTHING_OPEN)
    kinds = {one["id"]: one["kind"] for one in requests}
    given = _by_id([*kinds], resume)
    return {
        name: _approval(one) if kinds[name] == "approval" else _answer(one)
        for name, one in given.items()
    }


def _by_id(ids: list[str], resume: object) -> dict[str, object]:
    """One for each id; where one is open, it is all for that."""
    named = as_dict(resume)
    if named and {*named} <= {*ids}:
        return dict(named)
    if len(ids) == 1:
        return {ids[0]: resume}
    listed = as_list(named.get("decisions", resume))
    if listed is None or len(listed) != len(ids):
        raise wrong_field(POINTER, EACH.format(", ".join(ids)[:500]))
    return dict(zip(ids, listed, strict=True))


def _approval(said: object) -> dict[str, Any]:
    listed = as_list(as_dict(said).get("decisions", said))
    if listed is not None and len(listed) == 1:
        [said] = listed
    if isinstance(said, bool):
        return {"approve": said}
    one = as_dict(said)
    kind = one.get("type")
    if kind in YES:
        return {"approve": True}
    if kind in NO:
        reason = one.get("message")
        return {"approve": False, "reason": reason if isinstance(reason, str) else ""}
    if kind in EDIT and isinstance(one.get("edited_action"), dict):
        return {"approve": True, "value": as_dict(one["edited_action"]).get("args")}
    if isinstance(one.get("approve"), bool) and {*one} <= OWN:
        return one
    raise wrong_field(POINTER, APPROVAL_IS)


def _answer(said: object) -> dict[str, Any]:
    if isinstance(said, bool):
        return {"approve": said}
    own = as_dict(said)
    if isinstance(own.get("approve"), bool) and {*own} <= OWN:
        return own
    return {"approve": True, "value": said}
