"""Assistants, threads, their states, and runs: the JSON that the SDK's clients read.

What a server does not know is null: a thread's times are not kept, nor a run's once it has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import from_json

from runner.agents.base import Message
from runner.api import documents
from runner.api.problems import problem_text
from runner.doors.langgraph.asked import strategy_of
from runner.doors.langgraph.ids import assistant_id, message_id, run_id, thread_id
from runner.doors.langgraph.interrupts import Requests, interrupts, opened
from runner.doors.langgraph.messages import shown
from runner.settings import Settings
from runner.turns.content import Content
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Conversation, Service, Summary
from strategies import State

Document = dict[str, Any]

NODE = "agent"
"""Of a graph with one node: what the agent is inside, is not told here."""

STATUSES = {
    State.WAITING: "pending",
    State.RUNNING: "running",
    State.ANSWERED: "success",
    State.CANCELLED: "interrupted",
    State.INTERRUPTED: "interrupted",
}
"""A run's; of those that are not here `error`."""


def assistant(settings: Settings) -> Document:
    return {
        "assistant_id": assistant_id(settings),
        "graph_id": settings.agent.id,
        "name": settings.agent.id,
        "description": None,
        "config": {},
        "context": {},
        "metadata": {},
        "version": 1,
        "created_at": None,
        "updated_at": None,
    }


def run(service: Service, live: LiveTurn) -> Document:
    settings, more = service.settings, live.turn.more
    status = STATUSES.get(live.state, "error")
    if live.ending is not None and live.ending.cause == "TurnTimeout":
        status = "timeout"
    return {
        "run_id": run_id(live),
        "thread_id": thread_id(live),
        "assistant_id": assistant_id(settings),
        "created_at": _accepted_at(live),
        "updated_at": None if live.ending is not None else _now(),
        "status": status,
        "metadata": dict(more.metadata) if isinstance(more, Content) else {},
        "multitask_strategy": strategy_of(live.turn.strategy, settings.strategy),
    }


async def thread(service: Service, conversation: Conversation | Summary, own: str) -> Document:
    """Without what was said in it."""
    requests = await service.finding.requests(conversation.id)
    status = "busy" if conversation.is_busy else "interrupted" if requests else "idle"
    settings = service.settings
    return {
        "thread_id": own,
        "created_at": None,
        "updated_at": None,
        "metadata": {"graph_id": settings.agent.id, "assistant_id": assistant_id(settings)},
        "status": status,
        "config": {},
        "values": None,
        "interrupts": {NODE: interrupts(requests)} if requests else {},
    }


async def new_thread(service: Service, own: str) -> Document:
    made = await thread(service, Conversation(own, 0, ()), own)
    return {**made, "created_at": _now(), "updated_at": _now()}


def state(own: str, number: int, messages: Iterable[Message], requests: Requests) -> Document:
    """A thread's, after so many turns."""
    open_now = interrupts(requests)
    task = {"id": NODE, "name": NODE, "error": None, "interrupts": open_now}
    task |= {"checkpoint": None, "state": None, "result": None}
    return {
        "values": {"messages": shown(messages)},
        "next": [NODE] if open_now else [],
        "tasks": [task] if open_now else [],
        "interrupts": open_now,
        "checkpoint": _checkpoint(own, number),
        "parent_checkpoint": _checkpoint(own, number - 1) if number > 1 else None,
        "metadata": {"step": number, "source": "loop"},
        "created_at": None,
    }


def _checkpoint(own: str, number: int) -> Document:
    return {
        "thread_id": own,
        "checkpoint_ns": "",
        "checkpoint_id": str(number) if number else None,
        "checkpoint_map": None,
    }


async def values(service: Service, live: LiveTurn) -> Document:
    """The state that a run has led to, or in which it has left its thread.

    Raises StoreUnavailable.
    """
    ending = live.ending
    assert ending is not None
    messages = await service.messages(live.turn.conversation, 0)
    if ending.reply is None:
        return {"messages": shown(messages)} | {"__error__": error(service, live)}
    # Not what later runs have said.
    own = messages[: 2 * ending.number]
    if own and own[-1]["content"] == ending.reply:
        messages = own
    document: Document = {"messages": shown(messages, message_id(live))}
    if ending.output is not None:
        document["output"] = from_json(ending.output)
    if ending.requests is not None:
        document["__interrupt__"] = interrupts(opened(ending.requests))
    return document


def error(service: Service, live: LiveTurn) -> Document:
    """Of a run that has failed: the name of the problem, and its words."""
    document: Any = documents.ended(service, live)
    name = document["type"].rpartition(":")[2]
    more = {key: document[key] for key in ("outcome", "retry_after_s") if key in document}
    return {"error": name, "message": problem_text(document), **more}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _accepted_at(live: LiveTurn) -> str | None:
    if live.ticket is None:
        return None
    age_s = live.ticket.waited_s + live.ticket.ran_s
    return (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat()
