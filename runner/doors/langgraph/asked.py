"""What a run is asked for with: the body of `runs` as a submission.

These clients send dozens of fields; one that we have no use for is ignored. What would change
the run, and cannot be had here, is refused: nobody notices an `interrupt_before` that is lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runner.api.content import parse_content
from runner.api.exchange import Request
from runner.api.parsing import check_conversation, make_submission
from runner.api.problems import wrong_field
from runner.callers import scoped
from runner.doors.langgraph.given import as_dict
from runner.doors.langgraph.ids import check_assistant, new_thread, parse_thread
from runner.doors.langgraph.interrupts import answers
from runner.doors.langgraph.messages import said
from runner.settings import OnDisconnect, StrategySettings
from runner.turns.service import Service
from runner.turns.submission import Submission

REFUSED = {
    "interrupt_before": "This agent has no nodes to stop at; it asks by itself where it needs you.",
    "interrupt_after": "This agent has no nodes to stop at; it asks by itself where it needs you.",
    "after_seconds": "A run begins when its thread is free; it cannot be put off.",
    "webhook": "A run calls nobody back; join it, or join its stream.",
}
STRATEGIES = ("reject", "enqueue", "interrupt", "rollback")
ALIKE: Mapping[str, tuple[str, ...]] = {"enqueue": ("enqueue", "queue")}
"""Names of ours for what they call so."""

LINES = {"enqueue": ("queue", "lock")}
"""Servers whose own strategy is what they call so."""

DISCONNECTS: Mapping[str, OnDisconnect] = {"cancel": "cancel", "continue": "continue"}
NOT_ALLOWED = (
    "This server lets no run choose {!r}. Leave multitask_strategy out for the server's own "
    'strategy, or allow it in the settings: [strategy] per_turn = ["{}"].'
)
NO_RESUME = '"command" here is {"resume": ...}; the state of a thread cannot be written.'
FORKED = (
    "A run goes on from the last checkpoint of its thread, {!r}. To begin again from an "
    "earlier one, create a thread."
)
KEPT = 'A thread is kept until it is deleted: call threads.delete, and leave "on_completion" out.'


async def parse_run(
    service: Service, request: Request, fields: dict[str, Any], *, stream: bool = False
) -> Submission:
    """What the run is asked for with. Raises RequestError, StoreUnavailable."""
    check_assistant(service, fields.get("assistant_id"))
    for name, detail in REFUSED.items():
        if fields.get(name):
            raise wrong_field(f"/{name}", detail)
    if fields.get("on_completion") == "delete":
        raise wrong_field("/on_completion", KEPT)
    has_thread = "thread_id" in request.params
    own = parse_thread(service, request) if has_thread else new_thread(service)
    check_conversation(service, own, "/thread_id")
    conversation = scoped(request.caller, own)
    await _check_checkpoint(service, conversation, fields)
    content = await _content(service, conversation, fields)
    message, more = parse_content(content, service.settings.server, service.about)
    submission = make_submission(service, request, own, message, more, stream=stream)
    return _wished(submission, fields, service.settings.strategy)


async def _content(service: Service, conversation: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The message, or the answers, and metadata, as `/chat` takes them."""
    content: dict[str, Any] = {}
    if metadata := as_dict(fields.get("metadata")):
        content["metadata"] = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in metadata.items()
        }
    if fields.get("command") is None:
        content["message"] = said(fields.get("input"))
        return content
    command = as_dict(fields["command"])
    if {*command} != {"resume"}:
        raise wrong_field("/command", NO_RESUME)
    if fields.get("input") is not None:
        raise wrong_field("/input", 'Send "input" or "command", not both.')
    content["resume"] = answers(await service.finding.requests(conversation), command["resume"])
    return content


async def _check_checkpoint(service: Service, conversation: str, fields: dict[str, Any]) -> None:
    """Its clients send the checkpoint that they have seen last; any other would be a fork."""
    asked = fields.get("checkpoint_id")
    asked = asked or as_dict(fields.get("checkpoint")).get("checkpoint_id")
    if asked is None:
        return
    known = await service.conversation(conversation)
    last = str(known.turns if known is not None else 0)
    if asked != last:
        raise wrong_field("/checkpoint", FORKED.format(last))


def _wished(
    submission: Submission, fields: dict[str, Any], settings: StrategySettings
) -> Submission:
    """With the strategy and the policy for a lost client that the body names, if it does."""
    turn = submission.turn
    if (name := fields.get("multitask_strategy")) is not None:
        turn = replace(turn, strategy=_strategy(name, settings))
    submission = replace(submission, turn=turn)
    wish = fields.get("on_disconnect")
    if wish is None and fields.get("stream_resumable") is True:
        wish = "continue"  # Who wants to come back wants the turn to be there.
    if wish is None:
        return submission
    if not isinstance(wish, str) or wish not in DISCONNECTS:
        raise wrong_field("/on_disconnect", '"on_disconnect" is "cancel" or "continue".')
    return replace(submission, on_disconnect=DISCONNECTS[wish])


def _strategy(name: object, settings: StrategySettings) -> str | None:
    """As ours; None for the server's own. Raises RequestError for one that is not allowed."""
    if not isinstance(name, str) or name not in STRATEGIES:
        raise wrong_field("/multitask_strategy", f"It is one of {', '.join(STRATEGIES)}.")
    ours = ALIKE.get(name, (name,))
    chosen = next((one for one in ours if one in settings.per_turn), None)
    if chosen is None and settings.name.lower() not in LINES.get(name, (name,)):
        raise wrong_field("/multitask_strategy", NOT_ALLOWED.format(name, ours[-1]))
    return chosen


def strategy_of(chosen: str | None, settings: StrategySettings) -> str:
    """As its clients call it."""
    name = chosen or settings.name.lower()
    return name if name in STRATEGIES else "enqueue"
