"""Threads: conversations, under the ids that their callers give them.

A thread is there as soon as it is named: one in which nothing was said is idle and empty, and
nothing is written down for it. So a thread that was created needs no state of its own, and
`if_not_exists` has nothing to decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runner.api.exchange import Answer, Request, json_answer
from runner.api.parsing import check_conversation, parse_conversation, parse_fields
from runner.api.problems import (
    NO_CONVERSATION,
    Cause,
    RequestError,
    as_answer,
    problem_document,
    wrong_field,
)
from runner.callers import own_id, scoped
from runner.doors.langgraph import documents, ids
from runner.doors.langgraph.absent import SAID
from runner.doors.langgraph.documents import Document
from runner.doors.langgraph.given import as_dict, as_list
from runner.doors.langgraph.messages import shown
from runner.doors.langgraph.paging import counted, listed, page
from runner.turns.service import Conversation, Service

MOST_STATES = 10
NUMBER = re.compile("[1-9][0-9]{0,8}")
EXISTS = problem_document(
    Cause(409, "thread-exists", "The thread is there already"),
    'Something was said in this thread. Send if_exists="do_nothing" to go on with it.',
)
del EXISTS["retry_after_s"]  # Another try comes to the same.
NO_TTL = 'A thread is kept until it is deleted: call threads.delete, and leave "ttl" out.'


async def thread_create(service: Service, request: Request) -> Answer:
    fields = parse_fields(service, request)
    if fields.get("supersteps"):
        raise wrong_field("/supersteps", SAID)
    if fields.get("ttl") is not None:
        raise wrong_field("/ttl", NO_TTL)
    if (asked := fields.get("thread_id")) is None:
        return json_answer(await documents.new_thread(service, ids.new_thread(service)))
    own = parse_conversation(asked, service.settings.server, "/thread_id")
    check_conversation(service, own, "/thread_id")
    known = await service.conversation(scoped(request.caller, own))
    if known is None:
        return json_answer(await documents.new_thread(service, own))
    if fields.get("if_exists") != "do_nothing":
        return as_answer(EXISTS)
    return json_answer(await documents.thread(service, known, own))


async def thread_get(service: Service, request: Request) -> Answer:
    own, known = await _thread(service, request)
    document = await documents.thread(service, known, own)
    if known.turns:
        document["values"] = {"messages": shown(await service.messages(known.id, 0))}
    return json_answer(document)


async def thread_delete(service: Service, request: Request) -> Answer:
    _, known = await _thread(service, request)
    await service.forget(known.id)
    return Answer(204)


async def thread_search(service: Service, request: Request) -> Answer:
    """Those in which something was said. Without their values, which may be long."""
    asked = parse_fields(service, request)
    offset, limit = page(asked)
    return listed(await _found(service, request.caller, asked, offset + limit or 1), asked)


async def thread_count(service: Service, request: Request) -> Answer:
    return counted(await _found(service, request.caller, parse_fields(service, request)))


async def _found(
    service: Service, caller: str, asked: Mapping[str, Any], most: int = 0
) -> list[Document]:
    """Those that are wanted, `most` of them at least if there are so many; 0 means all."""
    wanted = {key: asked[key] for key in ("metadata", "status", "ids", "values") if asked.get(key)}
    # All are looked at where one of the later ones may be the first that is wanted.
    found, _ = await service.conversations(caller, 0 if wanted else most)
    threads = [await documents.thread(service, one, own_id(one.id)) for one in found]
    return [one for one in threads if _is_wanted(one, wanted)]


def _is_wanted(thread: Document, wanted: Mapping[str, Any]) -> bool:
    metadata, named = as_dict(wanted.get("metadata")), as_list(wanted.get("ids"))
    return (
        "values" not in wanted  # Nothing is found by what was said.
        and wanted.get("status", thread["status"]) == thread["status"]
        and (named is None or thread["thread_id"] in named)
        and metadata.items() <= thread["metadata"].items()
    )


async def thread_state(service: Service, request: Request) -> Answer:
    own, known = await _thread(service, request)
    messages = await service.messages(known.id, 0)
    requests = await service.finding.requests(known.id)
    return json_answer(documents.state(own, known.turns, messages, requests))


async def thread_state_at(service: Service, request: Request) -> Answer:
    return await _state_at(service, request, request.params["checkpoint_id"])


async def thread_state_of(service: Service, request: Request) -> Answer:
    """The checkpoint as states have it: that of a thread in which nothing was said has no id."""
    checkpoint = as_dict(parse_fields(service, request).get("checkpoint"))
    asked = checkpoint.get("checkpoint_id")
    return await (
        thread_state(service, request) if asked is None else _state_at(service, request, asked)
    )


async def _state_at(service: Service, request: Request, asked: object) -> Answer:
    own, known = await _thread(service, request)
    number = _number(asked)
    if not 0 < number <= known.turns:
        raise RequestError(NO_CONVERSATION, "The thread has no such checkpoint.")
    messages = await service.messages(known.id, 0)
    requests = await service.finding.requests(known.id) if number == known.turns else []
    return json_answer(documents.state(own, number, messages[: 2 * number], requests))


async def thread_history(service: Service, request: Request) -> Answer:
    """Its states after each of its turns, the newest first."""
    own, known = await _thread(service, request)
    asked = parse_fields(service, request)
    _, limit = page(asked)
    last = _before(asked.get("before"), known.turns + 1) - 1
    messages = await service.messages(known.id, 0)
    requests = await service.finding.requests(known.id)
    numbers = range(last, max(0, last - min(limit, MOST_STATES)), -1)
    states = [
        documents.state(
            own, number, messages[: 2 * number], requests if number == known.turns else []
        )
        for number in numbers
    ]
    return listed(states, {"limit": limit})


def _before(asked: object, default: int) -> int:
    """The number of the checkpoint, where one is named that the thread has."""
    named = as_dict(asked)
    named = as_dict(named.get("configurable")) or named  # As LangChain's configs have it.
    return min(default, _number(named.get("checkpoint_id", asked)) or default)


def _number(checkpoint_id: object) -> int:
    """0 where that is no checkpoint's."""
    match = NUMBER.fullmatch(checkpoint_id) if isinstance(checkpoint_id, str) else None
    return int(match[0]) if match else 0


async def _thread(service: Service, request: Request) -> tuple[str, Conversation]:
    own = ids.parse_thread(service, request)
    conversation = scoped(request.caller, own)
    known = await service.conversation(conversation)
    return own, known or Conversation(conversation, 0, ())
