"""`/v1/conversations`: ours, and the messages of each as items.

Nothing is kept of a conversation before its first turn, and any id that fits is one. So an id
that is made here says when it was made, and is known before anything was said under it.
"""

from __future__ import annotations

import asyncio
import re
import time
from hashlib import sha256
from secrets import token_hex
from typing import Any

from runner.agents.base import Message
from runner.api.exchange import Answer, Request, json_answer
from runner.api.parsing import parse_conversation, parse_fields
from runner.api.problems import NO_CONVERSATION, RequestError, wrong_field
from runner.callers import scoped
from runner.turns.service import Service

MADE_HERE = re.compile("conv_([0-9a-f]{8})[0-9a-f]{24}")
ITEM_ID = re.compile("msg_([0-9]{1,15})")
NONE_SUCH = "Nothing was said in it, or it is not yours."
NO_ITEMS = (
    "A conversation begins empty here, and grows by its turns: send the message to /v1/responses."
)
NO_METADATA = (
    "Nothing is kept of a conversation but its turns. Metadata of a response reaches the agent: "
    "send it to /v1/responses."
)
MOST = 100


def new_id() -> str:
    return f"conv_{int(time.time()):08x}{token_hex(12)}"


def keyed_id(key: bytes, after: str = "") -> str:
    """Of whoever asks under this key and names no conversation, or a response to follow."""
    digest = sha256(key + b"\0" + after.encode()).hexdigest()
    return f"conv_key_{digest[:32]}"


async def create_conversation(service: Service, request: Request) -> Answer:
    fields = parse_fields(service, request) if request.body else {}
    if fields.get("items"):
        raise wrong_field("/items", NO_ITEMS)
    return json_answer(_shown(new_id()))


async def retrieve_conversation(service: Service, request: Request) -> Answer:
    own = request.params["name"]
    if MADE_HERE.fullmatch(own) is None and not await _is_known(service, request, own):
        raise RequestError(NO_CONVERSATION, NONE_SUCH)
    return json_answer(_shown(own))


async def update_conversation(service: Service, request: Request) -> Answer:
    """Its metadata is all that could be changed, and none is kept."""
    if parse_fields(service, request).get("metadata"):
        raise wrong_field("/metadata", NO_METADATA)
    return await retrieve_conversation(service, request)


async def delete_conversation(service: Service, request: Request) -> Answer:
    """Raises ConversationBusy. One in which nothing was said yet is deleted likewise."""
    own = request.params["name"]
    if await _is_known(service, request, own):
        await service.forget(scoped(request.caller, own))
    elif MADE_HERE.fullmatch(own) is None:
        raise RequestError(NO_CONVERSATION, NONE_SUCH)
    return json_answer({"id": own, "object": "conversation.deleted", "deleted": True})


async def list_items(service: Service, request: Request) -> Answer:
    """Those of answered turns, the newest first, after the item `after`."""
    own = request.params["name"]
    if MADE_HERE.fullmatch(own) is None and not await _is_known(service, request, own):
        raise RequestError(NO_CONVERSATION, NONE_SUCH)
    history = service.history(scoped(request.caller, own))
    # In a thread, here and below: the store may be far off.
    length = await asyncio.to_thread(len, history)
    before = 2 * history.first - 1  # The number of the first message, of all there ever were.
    numbers = range(before, before + length)
    if request.query.get("order") != "asc":
        numbers = numbers[::-1]
    if after := request.query.get("after"):
        numbers = numbers[_place(after, numbers) + 1 :]
    most = _limit(request.query.get("limit"))
    page = sorted(numbers[:most])
    looked_at = slice(page[0] - before, page[-1] + 1 - before) if page else slice(0)
    messages = await asyncio.to_thread(history.__getitem__, looked_at)
    items = [message_item(f"msg_{n}", one) for n, one in zip(page, messages, strict=True)]
    if numbers.step < 0:
        items.reverse()
    return json_answer(item_list(items, has_more=len(numbers) > most))


def item_list(items: list[dict[str, Any]], *, has_more: bool = False) -> dict[str, Any]:
    ids = [item["id"] for item in items] or [None]
    listed = {"object": "list", "data": items, "has_more": has_more}
    return listed | {"first_id": ids[0], "last_id": ids[-1]}


def _place(item_id: str, numbers: range) -> int:
    match = ITEM_ID.fullmatch(item_id)
    if match is None or int(match[1]) not in numbers:
        raise wrong_field("?after", "There is no item of this id.")
    return numbers.index(int(match[1]))


async def _is_known(service: Service, request: Request, own: str) -> bool:
    parse_conversation(own, service.settings.server, "/conversation")
    return await service.conversation(scoped(request.caller, own)) is not None


def _shown(own: str) -> dict[str, Any]:
    made = MADE_HERE.fullmatch(own)
    created_at = int(made[1], 16) if made else 0
    return {"id": own, "object": "conversation", "created_at": created_at, "metadata": {}}


def message_item(name: str, message: Message) -> dict[str, Any]:
    is_user = message["role"] == "user"
    part: dict[str, Any] = {"type": "input_text" if is_user else "output_text"}
    part |= {"text": message["content"]} | ({} if is_user else {"annotations": []})
    item: dict[str, Any] = {"type": "message", "id": name, "status": "completed"}
    return item | {"role": message["role"], "content": [part]}


def _limit(text: str | None) -> int:
    if text is None:
        return 20
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 0 < int(text) <= MOST):
        raise wrong_field("?limit", f"limit is 1 to {MOST}.")
    return int(text)
