"""LangGraph's interrupts as requests, and decisions as the values that they go on with.

LangChain's HumanInTheLoopMiddleware asks for approval of tools: in one interrupt for all of a
model's calls ("action_requests"), or in one for each ("tool_approval"). Each call is a request.
Any other interrupt is one question.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from pydantic_core import to_jsonable_python

from runner.agents.base import Json
from runner.agents.frameworks.framework import load
from runner.agents.requests import Decision, InputRequest


def requests_of(interrupts: Iterable[Any]) -> Iterator[InputRequest]:
    for interrupt in interrupts:
        actions = _actions(interrupt.value)
        for number, action in enumerate(actions):
            arguments = to_jsonable_python(action.get("args"), fallback=str)
            request_id = f"{interrupt.id}:{number}"
            yield InputRequest("approval", _prompt(action), action["name"], arguments, request_id)
        if not actions:
            value = to_jsonable_python(interrupt.value, fallback=str)
            is_text = isinstance(value, str)
            prompt = value if is_text else json.dumps(value)
            yield InputRequest("question", prompt, "", None if is_text else value, interrupt.id)


def resume(interrupts: Iterable[Any], decisions: Mapping[str, Decision]) -> Any:
    """The graph's input that answers all of its interrupts."""
    values: dict[str, Any] = {}
    for interrupt in interrupts:
        decided = [
            _decided(action, decisions[f"{interrupt.id}:{number}"])
            for number, action in enumerate(_actions(interrupt.value))
        ]
        if not decided:
            # Not the reason of a refusal: `if interrupt(...)` would take any text for consent.
            one = decisions[interrupt.id]
            values[interrupt.id] = one.approve if one.value is None else one.value
        elif "action_requests" in interrupt.value:
            values[interrupt.id] = {"decisions": decided}
        else:
            values[interrupt.id] = decided[0]
    return load("langgraph.types").Command(resume=values)


def _actions(value: Any) -> list[Any]:
    """What is to be approved."""
    if not isinstance(value, dict):
        return []
    request = cast("dict[str, Any]", value)
    if request.get("type") == "tool_approval":
        return [request]
    actions: list[Any] = request.get("action_requests", [])
    return actions


def _prompt(action: Any) -> str:
    """What the user has written; LangChain adds what name and arguments say."""
    tool = f"\n\nTool: {action['name']}\nArgs: {action.get('args')}"
    words = str(action.get("description") or "").removesuffix(tool)
    return "" if words == "Tool execution requires approval" else words


def _decided(action: Any, decision: Decision) -> Json:
    """An object as the value of an approval stands for the arguments."""
    if not decision.approve:
        # Without a reason LangChain has words of its own for the model.
        return {"type": "reject"} | ({"message": decision.reason} if decision.reason else {})
    value = decision.value
    if isinstance(value, dict):
        # Where edits are not allowed this fails, since nobody approved the arguments as they were.
        arguments = cast("Json", value)
        return {"type": "edit", "edited_action": {"name": action["name"], "args": arguments}}
    return {"type": "approve"}
