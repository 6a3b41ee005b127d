"""What is asked of the agent, wherever it goes: a message, or what that answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.api.content import parse_content
from runner.api.exchange import Request
from runner.api.problems import RequestError
from runner.callers import scoped
from runner.doors.openai.messages import Message, as_ours
from runner.doors.openai.whereto import Place, digest, in_answer
from runner.turns import keys
from runner.turns.content import NO_CONTENT, Content, in_words
from runner.turns.service import Service

Find = Callable[[], Awaitable[Place]]
Asked = tuple[Place, str, Content | None]
"""Where a message goes, the message, and what is asked besides."""


async def parse_asked(
    service: Service,
    request: Request,
    fields: Mapping[str, Any],
    find: Find,
    asked_of: Callable[[Place], Sequence[Message]],
    pointer: str,
) -> Asked:
    """What is so until the next `await`. Raises RequestError, StoreUnavailable.

    fields    of `POST /chat`: metadata, and resume in place of a message.
    find      looks where the message goes; again if a turn began there before it was parsed.
    asked_of  the messages that are asked where it goes.
    pointer   of what was sent as the messages.
    """
    while True:
        with service.finding.noting_begun() as begun:
            place = await find()
            parsed = await _parsed(service, request, fields, asked_of(place), place, pointer)
        if place.how != "continued" or scoped(request.caller, place.own) not in begun:
            return place, *parsed


async def _parsed(
    service: Service,
    request: Request,
    fields: Mapping[str, Any],
    asked: Sequence[Message],
    place: Place,
    pointer: str,
) -> tuple[str, Content | None]:
    ours = {name: value for name, value in fields.items() if value is not None}
    try:
        if "resume" not in ours:
            ours["message"] = as_ours(asked)
        message, content = parse_content(ours, service.settings.server, service.about)
    except RequestError as error:
        raise _moved(error, f"{pointer}/{asked[-1].place}/content" if asked else pointer) from error
    content = content or NO_CONTENT
    asked_for = digest(place, content, ours.get("resume"))
    if content.resume is None and not content.parts:
        resume = await in_answer(service, request.caller, place.own, message)
        if resume is not None:
            asked_for = asked_for or keys.digest(message, _or_none(content))
            content, message = replace(content, resume=resume), in_words(resume)
    content = replace(content, said=place.said, digest=asked_for, past=place.past)
    return message, _or_none(content)


def _or_none(content: Content) -> Content | None:
    return None if content == NO_CONTENT else content


def _moved(error: RequestError, pointer: str) -> RequestError:
    """The same of our words, where its client has them."""
    document = dict(error.refusal.document)
    if str(document.get("pointer")).startswith("/message"):
        document["pointer"] = pointer
    error.refusal = type(error.refusal)(document, error.refusal.headers)
    return error
