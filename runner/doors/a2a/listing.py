"""Tasks of one context, or those of all contexts that have not ended: the latest first."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.api.exchange import Request, Response
from runner.api.parsing import parse_conversation
from runner.api.problems import wrong_field
from runner.callers import scoped
from runner.doors.a2a import errors
from runner.doors.a2a.call import Call, result
from runner.doors.a2a.errors import RpcError
from runner.doors.a2a.tasks import INPUT_REQUIRED, STATES, task
from runner.store.base import Place
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from strategies import State

MOST, USUAL = 100, 50
"""Tasks of a page, as A2A says."""

OF_ALL = (
    "Name a contextId. Of all contexts only the tasks that have not ended are listed: ask for the "
    "status TASK_STATE_SUBMITTED or TASK_STATE_WORKING."
)
ENDED = (
    "Tasks that have ended are not told apart by their status: list those of a contextId, and "
    "choose among them."
)
NO_INSTANTS = "Tasks are not listed by the time of their status; the latest come first."
PAGE_IS = f"A page has 1 to {MOST} tasks."
TOKEN_IS = "A page token is the nextPageToken of an answer."

LIVING = {STATES[state]: state for state in (State.WAITING, State.RUNNING)}
KNOWN = ("TASK_STATE_AUTH_REQUIRED", INPUT_REQUIRED, *STATES.values())

After = int | Place | None
"""Where a page begins: so many that have not ended are left, or after this one that has."""


@dataclass(frozen=True, slots=True)
class Wish:
    """conversation: None for all of them."""

    conversation: str | None
    state: State | None
    size: int
    after: After


async def list_tasks(service: Service, request: Request, call: Call) -> Response:
    wish = _parse(service, request, call.params)
    line = [live for live in service.living(request.caller) if _is_wished(live, wish)]
    total, left = len(line), line
    if wish.after is not None:
        left = line[: wish.after] if isinstance(wish.after, int) else []
    page = left[::-1][: wish.size]
    after: After = len(left) - len(page) or None
    if wish.conversation is not None and wish.state is None:
        room = wish.size - len(page)
        begin = wish.after if isinstance(wish.after, tuple) else None
        places, ended = await service.ended(wish.conversation, begin, room + 1)
        total += ended
        if after is None and len(places) > room:
            after = places[room - 1] if room else 0
        page += await _find(service, places[:room], page)
    shown = [_shown(service, live, call.params) for live in page]
    answer = {"tasks": shown, "nextPageToken": _token(after)}
    return result(call.id, {**answer, "pageSize": wish.size, "totalSize": total})


def _is_wished(live: LiveTurn, wish: Wish) -> bool:
    is_there = wish.conversation in (None, live.turn.conversation)
    return is_there and wish.state in (None, live.state)


async def _find(service: Service, places: list[Place], page: list[LiveTurn]) -> list[LiveTurn]:
    """Those that are not on the page already, having ended since."""
    there = {live.turn.id for live in page}
    found = [await service.find(turn_id) for *_, turn_id in places if turn_id not in there]
    return [live for live in found if live is not None]


def _shown(service: Service, live: LiveTurn, params: Mapping[str, Any]) -> dict[str, Any]:
    content = task(service, live)
    if params.get("includeArtifacts") is not True:
        content.pop("artifacts", None)
    return content


def _parse(service: Service, request: Request, params: Mapping[str, Any]) -> Wish:
    """Raises RequestError, RpcError."""
    if params.get("statusTimestampAfter") is not None:
        raise RpcError(errors.UNSUPPORTED, NO_INSTANTS)
    context, state = params.get("contextId") or None, _state(params.get("status") or None)
    if context is None and state is None:
        raise RpcError(errors.UNSUPPORTED, OF_ALL)
    conversation = None
    if context is not None:
        own = parse_conversation(context, service.settings.server, "/params/contextId")
        conversation = scoped(request.caller, own)
    size = USUAL if params.get("pageSize") is None else params["pageSize"]
    if type(size) is not int or not 1 <= size <= MOST:
        raise wrong_field("/params/pageSize", PAGE_IS)
    return Wish(conversation, state, size, _after(params.get("pageToken") or None))


def _state(sent: object) -> State | None:
    if sent is not None and sent not in KNOWN:
        raise wrong_field("/params/status", "There is no such status.")
    if sent is not None and sent not in LIVING:
        raise RpcError(errors.UNSUPPORTED, ENDED)
    return None if sent is None else LIVING[str(sent)]


def _token(after: After) -> str:
    return "" if after is None else urlsafe_b64encode(json.dumps(after).encode()).decode()


def _after(token: object) -> After:
    if token is None:
        return None
    try:
        match json.loads(urlsafe_b64decode(str(token))):
            case int() as left if left >= 0 and not isinstance(left, bool):
                return left
            case [float() as at, int() as number, str() as turn_id] if (
                abs(number) < 2**63 and turn_id.isascii()
            ):
                return at, number, turn_id
            case _:
                pass
    except (ValueError, RecursionError):
        pass
    raise wrong_field("/params/pageToken", TOKEN_IS)
