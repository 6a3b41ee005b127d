"""`POST /v1/chat/completions`: a turn as the answer of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from secrets import token_hex
from typing import Any, cast

from runner.api.asking import ask
from runner.api.exchange import Request, Response
from runner.api.parsing import (
    check_conversation,
    make_submission,
    parse_conversation,
    parse_fields,
)
from runner.api.problems import wrong_field
from runner.doors.openai.asked import parse_asked
from runner.doors.openai.chat_words import Completion
from runner.doors.openai.messages import Message, Messages, parse_messages
from runner.doors.openai.whereto import Place, find_place
from runner.turns.service import Service

IGNORED = (
    "tools", "functions", "response_format", "stop", "max_tokens", "max_completion_tokens",
    "temperature", "top_p", "seed", "logprobs", "reasoning_effort",
)  # fmt: skip
"""What an agent decides for itself; its client is told that it was not heeded."""


async def chat_completions(service: Service, request: Request) -> Response:
    """Raises RequestError, TurnError, ClientLeft."""
    fields = parse_fields(service, request)
    _check(fields)
    messages = parse_messages(fields.get("messages"))
    ours = {name: fields.get(name) for name in ("metadata", "resume")}

    def asked(place: Place) -> Sequence[Message]:
        return messages.asked[-1:] if place.how == "named" else messages.asked

    find = partial(_place, service, request, fields, messages)
    place, message, content = await parse_asked(
        service, request, ours, find, asked, messages.pointer
    )
    stream = fields.get("stream") or False
    submission = make_submission(service, request, place.own, message, content, stream=stream)
    form = Completion(
        service,
        place.own,
        place.how,
        ignored=_ignored(fields, messages),
        with_usage=_flag(fields.get("stream_options"), "include_usage"),
    )
    return await ask(service, request, submission, form, holds_head=True)


async def _place(
    service: Service, request: Request, fields: Mapping[str, Any], messages: Messages
) -> Place:
    if (own := fields.get("conversation_id")) is not None:
        own = parse_conversation(own, service.settings.server, "/conversation_id")
        check_conversation(service, own, "/conversation_id")
        return Place(own, "named")
    return await find_place(service, request, messages, f"chat-{token_hex(16)}", fields.get("user"))


def _check(fields: Mapping[str, Any]) -> None:
    """Raise RequestError for what would be lost, and its client not notice."""
    if fields.get("n") not in (None, 1):
        raise wrong_field("/n", "An agent answers once.")
    if fields.get("audio") is not None or fields.get("modalities") not in (None, [], ["text"]):
        raise wrong_field("/modalities", "No agent here speaks; it answers with text.")
    if not isinstance(fields.get("stream"), bool | None):
        raise wrong_field("/stream", '"stream" is true or false.')
    if fields.get("tool_choice") not in (None, "auto", "none"):
        detail = "This agent uses tools of its own, and calls none of the client's."
        raise wrong_field("/tool_choice", detail)


def _ignored(fields: Mapping[str, Any], messages: Messages) -> list[str]:
    found = [name for name in IGNORED if fields.get(name) not in (None, [], {"type": "text"})]
    return ["system", *found] if messages.has_system else found


def _flag(options: Any, name: str) -> bool:
    return isinstance(options, dict) and cast("dict[str, Any]", options).get(name) is True
