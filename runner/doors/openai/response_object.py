"""A turn as OpenAI's `response` object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from runner.api import documents
from runner.callers import own_id
from runner.doors.openai.errors import error_object
from runner.doors.openai.response_items import Output, all_of
from runner.turns.content import Content
from runner.turns.ending import is_for_later
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.turns.turn_ids import made_at
from strategies import State

PREFIX = "resp_"

FIXED: dict[str, Any] = {
    "instructions": None, "max_output_tokens": None, "parallel_tool_calls": True,
    "previous_response_id": None, "store": True, "temperature": None,
    "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": None,
    "truncation": "disabled",
}  # fmt: skip
"""Of the schema. What they would say of a model is the agent's own matter."""

STATUSES = {
    State.WAITING: "queued",
    State.RUNNING: "in_progress",
    State.ANSWERED: "completed",
    State.INTERRUPTED: "incomplete",
    State.CANCELLED: "cancelled",
}

TRY_LATER = (429, 503)


def response_id(live: LiveTurn) -> str:
    return PREFIX + live.turn.id


def status_of(live: LiveTurn) -> str:
    """Interrupted without a word kept of it is failed."""
    if is_for_later(live.ending):
        return "queued"
    if live.state is State.INTERRUPTED and (live.ending is None or live.ending.reply is None):
        return "failed"
    return STATUSES.get(live.state, "failed")


def document(service: Service, live: LiveTurn) -> dict[str, Any]:
    """As it stands now, with what it has said so far."""
    label = service.settings.agent.id
    output = all_of(live, label)
    for _ in finish(service, live, output):
        pass
    return of_output(service, live, output)


def finish(service: Service, live: LiveTurn, output: Output) -> Any:
    """The last items of a turn that has ended, as pieces."""
    ended = ended_document(service, live)
    if ended is None:
        return
    yield from output.close(done="title" not in ended and not ended.get("interrupted"))
    if "title" not in ended:
        yield from output.ask(ended.get("requests", []), ended["response"])


def ended_document(service: Service, live: LiveTurn) -> Mapping[str, Any] | None:
    """As `/chat` has it: the reply or the problem."""
    if live.ending is None:
        return None
    return cast("Mapping[str, Any]", documents.ended(service, live))


def of_output(service: Service, live: LiveTurn, output: Output) -> dict[str, Any]:
    ended, status = ended_document(service, live) or {}, status_of(live)
    content = live.turn.more
    shown: dict[str, Any] = {
        "id": response_id(live),
        "object": "response",
        "created_at": made_at(live.turn.id),
        "status": status,
        "model": service.settings.agent.id,
        "output": [output.now(index) for index in range(len(output.items))],
        "error": _error(ended) if status == "failed" else None,
        "incomplete_details": None,
        "conversation": {"id": own_id(live.turn.conversation)},
        "background": live.promised,
        "metadata": dict(content.metadata) if isinstance(content, Content) else {},
        "usage": _usage(output.usage),
        **FIXED,
    }
    if status == "queued":
        shown["place_in_line"] = documents.standing(live)
    for name in ("requests", "attempt"):
        if name in ended:
            shown[name] = ended[name]
    if "output" in ended:
        shown["output_json"] = ended["output"]
    return shown


def _error(problem: Mapping[str, Any]) -> dict[str, Any]:
    code = "rate_limit_exceeded" if problem["status"] in TRY_LATER else "server_error"
    return {"code": code, "message": error_object(problem)["message"]}


def _usage(told: Mapping[str, int] | None) -> dict[str, Any] | None:
    if told is None:
        return None
    taken, given = told["input_tokens"], told["output_tokens"]
    return {
        "input_tokens": taken,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": given,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": taken + given,
    }
