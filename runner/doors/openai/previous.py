"""What follows a response: its conversation goes on, or another begins where it stood then."""

from __future__ import annotations

import asyncio

from runner.api.exchange import Request
from runner.api.problems import BUSY, RequestError, wrong_field
from runner.callers import own_id, scoped
from runner.doors.openai.conversations import keyed_id, new_id
from runner.doors.openai.whereto import Place
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

GONE_ON = (
    "The conversation of this response has gone on since, and the agent keeps its own memory of "
    "it: continue its last response, or begin a new conversation."
)
NOT_ENDED = (
    "This response has not ended, and another message follows it already. Send yours again when "
    "it has ended, or name the conversation to stand in its line."
)


async def after_response(service: Service, request: Request, previous: LiveTurn) -> Place:
    """The agent is to know what was said up to this response, and nothing that was said later.

    But after one that left nothing the conversation goes on where it stands.

    Where the conversation goes on, nothing is waited for after the look. Raises RequestError.
    """
    conversation = previous.turn.conversation
    key = request.headers.get(b"idempotency-key")
    asked_in = key and await service.finding.by_key(request.caller, key.decode("latin1"))
    begun = new_id() if key is None else keyed_id(key, previous.turn.id)
    if asked_in == conversation:
        return Place(own_id(conversation), "again")
    is_again = asked_in == scoped(request.caller, begun)
    if not is_again and await _is_last(service, previous):
        return Place(own_id(conversation), "continued")
    if previous.ending is None:
        raise RequestError(BUSY, NOT_ENDED, pointer="/previous_response_id")
    if not service.about.wants_history:
        raise wrong_field("/previous_response_id", GONE_ON)
    past = await _up_to(service, conversation, previous.ending.number)
    return Place(begun, "again" if is_again else "given", past=past)


async def _is_last(service: Service, previous: LiveTurn) -> bool:
    conversation = previous.turn.conversation
    if previous.ending is None:
        return service.finding.last(conversation) is previous
    if not previous.ending.number:
        return True  # It left nothing, so its conversation stands where it stands.
    return await service.finding.stands_at(conversation, previous.ending.number)


async def _up_to(service: Service, conversation: str, number: int) -> tuple[tuple[str, str], ...]:
    history = service.history(conversation)
    said = slice(max(0, 2 * (number + 1 - history.first)))
    # In a thread: it may be long, and all of it is wanted.
    texts = [message["content"] for message in await asyncio.to_thread(history.__getitem__, said)]
    return tuple(zip(texts[::2], texts[1::2], strict=True))
