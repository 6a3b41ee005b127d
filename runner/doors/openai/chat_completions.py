"""`POST /v1/chat/completions`: a turn as the answer of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from time import time
from typing import Any, cast

from runner.api.asking import ask
from runner.api.content import parse_content
from runner.api.exchange import Request, Response
from runner.api.parsing import make_submission, parse_fields
from runner.api.problems import RequestError, wrong_field
from runner.doors.openai.chat_words import Completion
from runner.doors.openai.messages import Messages, as_ours, moved, parse_messages
from runner.doors.openai.whereto import Place, digest, find_place, in_answer
from runner.turns.content import NO_CONTENT, Content, in_words
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
    place = find_place(service, request, fields, messages)
    message, content = _asked(service, request, fields, messages, place)
    stream = fields.get("stream") or False
    submission = make_submission(service, request, place.own, message, content, stream=stream)
    form = Completion(
        service,
        place.own,
        place.how,
        ignored=_ignored(fields, messages),
        with_usage=_flag(fields.get("stream_options"), "include_usage"),
        created=int(time()),
    )
    return await ask(service, request, submission, form, holds_head=True)


def _asked(
    service: Service,
    request: Request,
    fields: Mapping[str, Any],
    messages: Messages,
    place: Place,
) -> tuple[str, Content | None]:
    ours = {name: fields[name] for name in ("metadata", "resume") if fields.get(name) is not None}
    asked = messages.asked[-1:] if place.how == "named" else messages.asked
    if "resume" not in ours:
        ours["message"] = as_ours(asked)
    try:
        message, content = parse_content(ours, service.settings.server, service.about)
    except RequestError as error:
        where = f"/messages/{asked[-1].place}/content" if asked else "/messages"
        raise moved(error, where) from error
    content = content or NO_CONTENT
    if content.resume is None and not content.parts:
        resume = in_answer(service, request.caller, place.own, message)
        if resume is not None:
            content, message = replace(content, resume=resume), in_words(resume)
    asked_for = digest(place, content, ours.get("resume"))
    content = replace(content, said=place.said, digest=asked_for, past=place.past)
    return message, None if content == NO_CONTENT else content


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
