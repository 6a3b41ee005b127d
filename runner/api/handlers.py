"""The handlers of all routes but `/chat`: each takes a request and gives an answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from runner.api import documents
from runner.api.exchange import Answer, Request, json_answer
from runner.api.parsing import check_conversation, parse_conversation, parse_count
from runner.api.problems import (
    AGENT_HANGS,
    DRAINING,
    NO_CONVERSATION,
    NO_TURN,
    STORE,
    RequestError,
    problem,
)
from runner.callers import owns, scoped
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Conversation, Service
from runner.web.sight import Sight

HELD = (
    "The agent answers one turn at a time, and one that was given up has not ended. Give what it "
    "waits for a time limit; until it ends, or the server is restarted, no turn is answered."
)

HANGS = (
    "{} calls of the agent were given up and have not come back, so no further thread takes the "
    "place of one that hangs. Give what they wait for a time limit, and restart the server."
)


async def turn(service: Service, request: Request) -> Answer:
    return json_answer(documents.turn(service, await find_turn(service, request)))


async def cancel(service: Service, request: Request) -> Answer:
    """Operators may cancel anybody's turn, and are told of it no more than they may see."""
    sight = Sight.of(request.caller, service.settings.server)
    live = await _find(service, request, sight.sees)
    await service.cancel(live)
    document = documents.turn(service, live)
    is_read = sight.reads(live.turn.conversation)
    return json_answer(document if is_read else documents.without_texts(document))


async def find_turn(service: Service, request: Request) -> LiveTurn:
    """The caller's turn. Raises RequestError for any other: whether it is, is not told either."""
    return await _find(service, request, partial(owns, request.caller))


async def _find(service: Service, request: Request, is_seen: Callable[[str], bool]) -> LiveTurn:
    live = await service.find(request.params["turn_id"])
    if live is None or not is_seen(live.turn.conversation):
        detail = "It was never accepted, ended too long ago, or is not yours."
        raise RequestError(NO_TURN, detail)
    return live


async def conversations(service: Service, request: Request) -> Answer:
    count = parse_count(request.query.get("count"), 100)
    shown, total = await service.conversations(request.caller, count)
    summaries = [documents.conversation_summary(one) for one in shown]
    return json_answer(
        documents.ConversationList(status="success", conversations=summaries, total=total)
    )


async def conversation(service: Service, request: Request) -> Answer:
    known = await _known(service, request)
    return json_answer(
        documents.conversation_detail(known, await service.finding.requests(known.id))
    )


async def forget(service: Service, request: Request) -> Answer:
    await service.forget((await _known(service, request)).id)
    return Answer(204)


async def _known(service: Service, request: Request) -> Conversation:
    own = request.params["conversation_id"]
    limits = service.settings.server
    conversation = scoped(request.caller, parse_conversation(own, limits, "?conversation_id"))
    known = await service.conversation(conversation)
    if known is None:
        raise RequestError(NO_CONVERSATION, "Nothing was said in it, or it is not yours.")
    return known


async def history(service: Service, request: Request) -> Answer:
    asked = request.query.get("conversation_id")
    conversation = parse_conversation(asked, service.settings.server, "?conversation_id")
    check_conversation(service, conversation, "?conversation_id")
    count = parse_count(request.query.get("count"), 1)
    messages = await service.messages(scoped(request.caller, conversation), count)
    return json_answer(documents.Messages(status="success", messages=messages))


async def health(service: Service, request: Request) -> Answer:
    if service.system is not None:
        await service.system.freshened()
    return json_answer(documents.health(service))


async def metrics(service: Service, request: Request) -> Answer:
    assert service.metrics is not None  # Without it there is no such route.
    if service.system is not None:
        await service.system.freshened()
    media_type, body = service.metrics.shown(request.headers.get(b"accept", b"").decode("latin1"))
    return Answer(200, (("content-type", media_type), ("vary", "accept")), body)


async def live(service: Service, request: Request) -> Answer:
    return json_answer(documents.Probe(status="alive"))


async def ready(service: Service, request: Request) -> Answer:
    if not service.ready:
        return problem(DRAINING, "Draining." if service.draining else "Starting.")
    if service.store_is_lost:
        return problem(STORE, "The store's files were removed or replaced. Restart the server.")
    if not service.store_is_available:
        return problem(STORE, "The store cannot be reached. It is tried again and again.")
    if service.agent_hangs:
        return problem(AGENT_HANGS, HELD)
    if service.threads.exhausted:
        return problem(AGENT_HANGS, HANGS.format(service.threads.hung))
    return json_answer(documents.Probe(status="ready"))
