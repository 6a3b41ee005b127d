"""Ids as the LangGraph SDK knows them: a run is a turn, a thread is a conversation."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4, uuid5

from runner.api.exchange import Request
from runner.api.handlers import find_turn
from runner.api.parsing import DEFAULT_CONVERSATION, check_conversation, parse_conversation
from runner.api.problems import NO_TURN, NOT_FOUND, RequestError, wrong_field
from runner.callers import own_id
from runner.settings import Settings
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

NAMESPACE = UUID("0b3a3c1f-6a0c-5d0e-9d6e-2f0a7c1b54aa")


def run_id(live: LiveTurn) -> str:
    """The turn's id, with the dashes of a UUID."""
    return str(UUID(live.turn.id))


def thread_id(live: LiveTurn) -> str:
    return own_id(live.turn.conversation)


def message_id(live: LiveTurn) -> str:
    """Of the turn's reply. Its clients join pieces of one id, so each attempt has its own."""
    own = run_id(live)
    return own if live.attempts <= 1 else f"{own}-{live.attempts}"


def assistant_id(settings: Settings) -> str:
    """Always the same for an agent of this name."""
    return str(uuid5(NAMESPACE, settings.agent.id))


def is_assistant(settings: Settings, value: object) -> bool:
    return value in (settings.agent.id, assistant_id(settings))


def check_assistant(service: Service, value: object) -> None:
    """Raise RequestError for another assistant than the one that there is."""
    if not isinstance(value, str):
        raise wrong_field("/assistant_id", "assistant_id is a text.")
    if not is_assistant(service.settings, value):
        detail = (
            f"The one assistant here is {service.settings.agent.id!r}. "
            "[agent] id in the settings gives it another name."
        )
        raise RequestError(NOT_FOUND, detail, pointer="/assistant_id")


def new_thread(service: Service) -> str:
    """An agent that is one object with one history has one conversation."""
    return DEFAULT_CONVERSATION if service.about.single_conversation else str(uuid4())


def parse_thread(service: Service, request: Request) -> str:
    """The thread that the path names. Raises RequestError."""
    own = request.params["thread_id"]
    own = parse_conversation(own, service.settings.server, "/thread_id")
    check_conversation(service, own, "/thread_id")
    return own


async def find_run(service: Service, request: Request) -> LiveTurn:
    """The caller's run that the path names, of this thread. Raises RequestError."""
    try:
        turn_id = UUID(request.params["run_id"]).hex
    except ValueError:
        turn_id = ""
    live = await find_turn(service, replace(request, params={"turn_id": turn_id}))
    if thread_id(live) != request.params["thread_id"]:
        raise RequestError(NO_TURN, "The thread has no such run.")
    return live
