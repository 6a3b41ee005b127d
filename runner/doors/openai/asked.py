"""What is asked of the agent, wherever it goes: a message, or what that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.api.content import parse_content
from runner.api.exchange import Request
from runner.api.problems import RequestError
from runner.doors.openai.messages import Message, as_ours
from runner.doors.openai.whereto import Place, digest, in_answer
from runner.turns import keys
from runner.turns.content import NO_CONTENT, Content, in_words
from runner.turns.service import Service


def parse_asked(
    service: Service,
    request: Request,
    fields: Mapping[str, Any],
    asked: Sequence[Message],
    place: Place,
    pointer: str,
) -> tuple[str, Content | None]:
    """The message, and what is asked besides. Nothing is waited for. Raises RequestError.

    fields   of `POST /chat`: metadata, and resume in place of a message.
    pointer  of what was sent as the messages.
    """
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
        resume = in_answer(service, request.caller, place.own, message)
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
