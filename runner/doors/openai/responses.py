"""`/v1/responses`: a response is a turn, and its id says which."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from runner.api import documents
from runner.api.asking import ask
from runner.api.exchange import Answer, Headers, Request, Response, json_answer
from runner.api.parsing import (
    check_conversation,
    make_submission,
    parse_conversation,
    parse_fields,
)
from runner.api.problems import NO_TURN, RequestError, wrong_field
from runner.api.stream import EventStream
from runner.callers import own_id, owns
from runner.doors.openai.asked import parse_asked
from runner.doors.openai.conversations import (
    item_list,
    keyed_id,
    message_item,
    new_id,
)
from runner.doors.openai.errors import refuse
from runner.doors.openai.messages import Messages
from runner.doors.openai.previous import after_response
from runner.doors.openai.response_input import INPUT_IS, ignored, read_input
from runner.doors.openai.response_object import PREFIX, document, response_id
from runner.doors.openai.response_parts import as_sent
from runner.doors.openai.response_stream import ResponseWords
from runner.doors.openai.whereto import Place, find_place
from runner.store.history import History
from runner.turns.content import Content
from runner.turns.events import Cursor
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

RESPONSE_ID = re.compile(f"{PREFIX}([0-9a-f]{{32}})")
NUMBER = re.compile("-?[0-9]{1,15}")
NONE_SUCH = "It was never accepted, ended too long ago, or is not yours."
KEPT_HERE = (
    "This server keeps the conversation that you name: send only what is new. Or name none, and "
    "send all that was said."
)
PART_OF_MORE = (
    "A response is a turn of its conversation and cannot be taken out of it. Delete the "
    "conversation: DELETE /v1/conversations/{}"
)


async def create_response(service: Service, request: Request) -> Response:
    """`POST /v1/responses`."""
    fields = parse_fields(service, request)
    sent = await read_input(partial(_own_turn, service, request), fields.get("input"))
    ours = {"metadata": fields.get("metadata"), "resume": sent.answers or fields.get("resume")}
    if not sent.said and ours["resume"] is None:
        raise wrong_field("/input", INPUT_IS)
    asked, pointer = sent.messages.asked, sent.messages.pointer
    find = partial(_find_place, service, request, fields, sent.messages)
    place, message, content = await parse_asked(
        service, request, ours, find, lambda _: asked, pointer
    )
    # From here on nothing is waited for until the turn stands in its line: what was found is so.
    submission = make_submission(
        service, request, place.own, message, content, stream=fields.get("stream") is True
    )
    if fields.get("background") is True:
        submission = replace(submission, respond_async=True)
    headers: Headers = (("conversation-id", place.own), ("conversation-found", place.how))
    if named := ignored(fields):
        headers = (*headers, ("turnline-ignored", named))
    form = ResponseForm(service, headers)
    return await ask(service, request, submission, form, holds_head=True)


async def _find_place(
    service: Service, request: Request, fields: Mapping[str, Any], messages: Messages
) -> Place:
    previous, asked = fields.get("previous_response_id"), fields.get("conversation")
    if previous is not None and asked is not None:
        raise wrong_field("/conversation", "Send conversation or previous_response_id, not both.")
    if (previous is not None or asked is not None) and messages.past:
        raise wrong_field(f"/input/{messages.past[-1].place}", KEPT_HERE)
    if previous is not None:
        return await after_response(service, request, await _find(service, request, str(previous)))
    if asked is None:
        key = request.headers.get(b"idempotency-key")
        new = new_id() if key is None else keyed_id(key)
        return await find_place(service, request, messages, new, fields.get("user"))
    if isinstance(asked, dict):
        asked = cast("dict[str, Any]", asked).get("id", "")
    own = parse_conversation(asked, service.settings.server, "/conversation")
    check_conversation(service, own, "/conversation")
    return Place(own, "named")


async def retrieve_response(service: Service, request: Request) -> Response:
    """`GET /v1/responses/{id}`, or its events after one of them."""
    live = await _find(service, request, request.params["response_id"])
    if request.query.get("stream", "").lower() not in ("true", "1"):
        return json_answer(document(service, live))
    after = request.query.get("starting_after", "-1")
    if NUMBER.fullmatch(after) is None:
        raise wrong_field("?starting_after", "starting_after is the number of an event.")
    return EventStream(service, live, Cursor(), ResponseWords(service, live, int(after)))


async def list_input_items(service: Service, request: Request) -> Answer:
    """The message that it answers."""
    live = await _find(service, request, request.params["response_id"])
    message = live.turn.message
    if not message and live.ending is not None and live.ending.number:
        history = service.history(live.turn.conversation)
        message = await asyncio.to_thread(_message_of, history, live.ending.number)
    item = message_item(f"msg_{live.turn.id}", {"role": "user", "content": message})
    if isinstance(live.turn.more, Content) and live.turn.more.parts:
        item["content"] = [as_sent(part) for part in live.turn.more.parts]
    return json_answer(item_list([item] if message or live.turn.more else []))


def _message_of(history: History, number: int) -> str:
    """What was asked by the turn of this number; "" where it is not kept any more."""
    place = 2 * (number - history.first)
    return history[place]["content"] if place >= 0 else ""


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
    """told  headers that say where it went, and what of the request changes nothing."""

    service: Service
    told: Headers = ()

    def ended(self, live: LiveTurn, headers: Headers) -> Answer:
        shown = cast("Mapping[str, Any]", documents.ended(self.service, live))
        if "title" in shown:
            return refuse(shown, (*self.told, *headers))
        return self.accepted(live, headers)

    def accepted(self, live: LiveTurn, headers: Headers) -> Answer:
        return json_answer(document(self.service, live), 200, (*self.told, *headers))

    def words(self, live: LiveTurn) -> ResponseWords:
        return ResponseWords(self.service, live, told=self.told)


async def _find(service: Service, request: Request, name: str) -> LiveTurn:
    """The caller's turn. Raises RequestError for any other."""
    match = RESPONSE_ID.fullmatch(name)
    live = None if match is None else await _own_turn(service, request, match[1])
    if live is None:
        raise RequestError(NO_TURN, NONE_SUCH)
    return live


async def _own_turn(service: Service, request: Request, turn_id: str) -> LiveTurn | None:
    live = await service.find(turn_id)
    return live if live is not None and owns(request.caller, live.turn.conversation) else None
