"""`/v1/responses`: a response is a turn, and its id says which."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from runner.api import documents
from runner.api.asking import ask
from runner.api.exchange import Answer, Headers, Request, Response, json_answer
from runner.api.parsing import (
    DEFAULT_CONVERSATION,
    check_conversation,
    make_submission,
    parse_conversation,
    parse_fields,
)
from runner.api.problems import NO_TURN, RequestError, wrong_field
from runner.api.stream import EventStream
from runner.callers import own_id, owns
from runner.doors.openai.conversations import keyed_id, new_id
from runner.doors.openai.errors import refuse
from runner.doors.openai.response_input import ignored, parse_input
from runner.doors.openai.response_object import PREFIX, document, response_id
from runner.doors.openai.response_stream import ResponseWords
from runner.turns.events import Cursor
from runner.turns.keys import KeyReused
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.turns.submission import Submission

RESPONSE_ID = re.compile(f"{PREFIX}([0-9a-f]{{32}})")
NUMBER = re.compile("-?[0-9]{1,15}")
NONE_SUCH = "It was never accepted, ended too long ago, or is not yours."
GONE_ON = (
    "The conversation of this response has gone on since: continue its last response, or begin "
    "a new conversation. A past that is edited is not served here."
)
PART_OF_MORE = (
    "A response is a turn of its conversation and cannot be taken out of it. Delete the "
    "conversation: DELETE /v1/conversations/{}"
)


async def create_response(service: Service, request: Request) -> Response:
    """`POST /v1/responses`."""
    fields = parse_fields(service, request)
    previous = await _previous(service, request, fields)
    own = _conversation(service, request, fields, previous)
    message, content = parse_input(service, fields)
    submission = make_submission(
        service, request, own, message, content, stream=fields.get("stream") is True
    )
    if fields.get("background") is True:
        submission = replace(submission, respond_async=True)
    if previous is not None:
        await _check_last(service, previous, submission)
    named = ignored(fields)
    headers = (("turnline-ignored", named),) if named else ()
    form = ResponseForm(service, headers)
    return await ask(service, request, submission, form, holds_head=True)


async def retrieve_response(service: Service, request: Request) -> Response:
    """`GET /v1/responses/{id}`, or its events after one of them."""
    live = await _find(service, request, request.params["response_id"])
    if request.query.get("stream", "").lower() not in ("true", "1"):
        return json_answer(document(service, live))
    after = request.query.get("starting_after", "-1")
    if NUMBER.fullmatch(after) is None:
        raise wrong_field("?starting_after", "starting_after is the number of an event.")
    return EventStream(service, live, Cursor(), ResponseWords(service, live, int(after)))


async def cancel_response(service: Service, request: Request) -> Response:
    live = await _find(service, request, request.params["response_id"])
    await service.cancel(live)
    return json_answer(document(service, live))


async def delete_response(service: Service, request: Request) -> Response:
    """Where the response is all that its conversation has, this forgets the conversation."""
    live = await _find(service, request, request.params["response_id"])
    known = await service.conversation(live.turn.conversation)
    if known is not None:
        if len(known.line) + known.turns > 1:
            raise wrong_field("/id", PART_OF_MORE.format(own_id(live.turn.conversation)))
        await service.forget(live.turn.conversation)
    return json_answer({"id": response_id(live), "object": "response", "deleted": True})


@dataclass(frozen=True, slots=True)
class ResponseForm:
    """ignored  a header that says what of the request changes nothing."""

    service: Service
    ignored: Headers = ()

    def ended(self, live: LiveTurn, headers: Headers) -> Answer:
        shown = cast("Mapping[str, Any]", documents.ended(self.service, live))
        if "title" in shown:
            return refuse(shown, (*self.ignored, *headers))
        return self.accepted(live, headers)

    def accepted(self, live: LiveTurn, headers: Headers) -> Answer:
        return json_answer(document(self.service, live), 200, (*self.ignored, *headers))

    def words(self, live: LiveTurn) -> ResponseWords:
        return ResponseWords(self.service, live, ignored=self.ignored)


async def _find(service: Service, request: Request, name: str) -> LiveTurn:
    """The caller's turn. Raises RequestError for any other."""
    match = RESPONSE_ID.fullmatch(name)
    live = None if match is None else await service.find(match[1])
    if live is None or not owns(request.caller, live.turn.conversation):
        raise RequestError(NO_TURN, NONE_SUCH)
    return live


async def _previous(
    service: Service, request: Request, fields: Mapping[str, Any]
) -> LiveTurn | None:
    name = fields.get("previous_response_id")
    if name is None:
        return None
    if fields.get("conversation") is not None:
        raise wrong_field("/conversation", "Send conversation or previous_response_id, not both.")
    return await _find(service, request, str(name))


def _conversation(
    service: Service, request: Request, fields: Mapping[str, Any], previous: LiveTurn | None
) -> str:
    """Its id as the caller knows it. Without one it is a new conversation."""
    if previous is not None:
        return own_id(previous.turn.conversation)
    asked = fields.get("conversation")
    if isinstance(asked, dict):
        asked = cast("dict[str, Any]", asked).get("id", "")
    if asked is not None:
        own = parse_conversation(asked, service.settings.server, "/conversation")
        check_conversation(service, own, "/conversation")
        return own
    if service.about.single_conversation:
        return DEFAULT_CONVERSATION
    # Who asks again under its key has to find the turn, and keys count in a conversation.
    key = request.headers.get(b"idempotency-key")
    return new_id() if key is None else keyed_id(key)


async def _check_last(service: Service, previous: LiveTurn, submission: Submission) -> None:
    """Raise RequestError where its conversation has gone on, but for what was asked before."""
    if await _is_last(service, previous):
        return
    with suppress(KeyReused):  # This is told in the end.
        if await service.asked_before(submission.turn, submission.key) is None:
            raise wrong_field("/previous_response_id", GONE_ON)


async def _is_last(service: Service, previous: LiveTurn) -> bool:
    known = await service.conversation(previous.turn.conversation)
    if known is None or previous.ending is None:
        return known is None or (bool(known.line) and known.line[-1] is previous)
    # One that failed left nothing, so its conversation stands where it stood before.
    return not known.line and previous.ending.number in (0, known.turns)
