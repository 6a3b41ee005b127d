"""Every JSON document of the interface: its shape as a type, and how it is made.

The types are what `runner.api.schemas` makes the OpenAPI schemas from, so a field that is
not described here cannot be answered without mypy's notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import Field
from pydantic_core import from_json
from typing_extensions import TypedDict

import strategies
from runner.agents.base import Message
from runner.api.exchange import Answer, Headers, json_answer
from runner.api.problems import as_answer, turn_document
from runner.callers import own_id
from runner.engine import figures
from runner.store.base import Ending
from runner.telemetry.log import in_a_line
from runner.turns.ending import error_of
from runner.turns.live_turn import LiveTurn
from runner.turns.requests import WrongResume
from runner.turns.service import Conversation, Service, Summary
from strategies import AgentFailed, Outcome, State, TurnError

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
TurnId = Annotated[str, Field(description="the turn's id, unique for ever")]
ConversationId = Annotated[str, Field(description="the conversation's id")]
Attempt = Annotated[int, Field(ge=0, description="calls of the agent for it; 2 after a restart")]
Position = Annotated[Count | None, Field(description="1 is next, 0 is not waiting, null not known")]
Range = Annotated[tuple[Seconds, Seconds] | None, Field(description="between these for 80 %")]
Fenced = Annotated[bool, Field(description="its agent was told to stop and has not")]
Number = Annotated[int, Field(ge=1, description="its place in the history")]


class Standing(TypedDict):
    """Where a turn stands: the data of the events `queued` and `position`."""

    turn_id: TurnId
    position: Position
    eta_s: Annotated[Seconds | None, Field(description="expected seconds until it starts")]
    eta_range_s: NotRequired[Range]


class InputRequest(TypedDict):
    """What an agent needs a person for."""

    id: Annotated[str, Field(description="by which `resume` answers it")]
    kind: Literal["approval", "question"]
    name: NotRequired[Annotated[str, Field(description="the tool that is to be approved")]]
    arguments: NotRequired[Annotated[Any, Field(description="what the tool is to be given")]]
    prompt: NotRequired[Annotated[str, Field(description="what to ask, in words")]]


class Reply(TypedDict):
    """The 200 of `POST /chat`."""

    status: Literal["success", "input_required"]
    response: Annotated[str, Field(description="the agent's words")]
    agent_id: str
    conversation_id: ConversationId
    turn_id: TurnId
    turn: Number
    waited_ms: Count
    ran_ms: Count
    output: NotRequired[Annotated[Any, Field(description="the reply, if it is more than text")]]
    requests: NotRequired[list[InputRequest]]
    interrupted: NotRequired[Literal[True]]
    attempt: NotRequired[Attempt]


class Problem(TypedDict):
    """RFC 9457: everything that is not a success."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="what to do")]
    outcome: Outcome
    turn_id: NotRequired[TurnId]
    conversation_id: NotRequired[ConversationId]
    retry_after_s: NotRequired[Seconds]
    queue_depth: NotRequired[Count]
    attempt: NotRequired[Attempt]
    pointer: NotRequired[Annotated[str, Field(description="the field, or ?name of a parameter")]]
    requests: NotRequired[Annotated[list[InputRequest], Field(description="answer these first")]]
    agent_error: NotRequired[Annotated[str, Field(description="with expose_agent_errors only")]]


class Accepted(Standing):
    """The 202 of `POST /chat`."""

    status: Literal["accepted"]
    conversation_id: ConversationId
    state: State


class Turn(Standing):
    """A turn as it stands now."""

    conversation_id: ConversationId
    state: State
    attempt: Attempt
    priority: Annotated[int, Field(ge=0, le=7)]
    waited_ms: NotRequired[Count]
    ran_ms: NotRequired[Count]
    status: NotRequired[Literal["success", "input_required"]]
    response: NotRequired[str]
    output: NotRequired[Any]
    requests: NotRequired[list[InputRequest]]
    agent_id: NotRequired[str]
    turn: NotRequired[Number]
    interrupted: NotRequired[Literal[True]]
    outcome: NotRequired[Outcome]
    problem: NotRequired[Problem]
    fenced: NotRequired[Fenced]


class TurnInLine(TypedDict):
    turn_id: TurnId
    position: Position
    age_s: Seconds
    attempt: Attempt
    priority: Count


class ConversationSummary(TypedDict):
    conversation_id: ConversationId
    turns: Annotated[Count, Field(description="turns in its history")]
    waiting: Count
    running: Count


class ConversationList(TypedDict):
    status: Literal["success"]
    conversations: list[ConversationSummary]
    total: Count


class ConversationDetail(TypedDict):
    conversation_id: ConversationId
    turns: Count
    waiting: list[TurnInLine]
    running: TurnInLine | None
    requests: NotRequired[Annotated[list[InputRequest], Field(description="not answered yet")]]


class Messages(TypedDict):
    status: Literal["success"]
    messages: list[Message]


class Process(TypedDict):
    """One of those that serve the same store."""

    id: Annotated[str, Field(description="another one each time it is started")]
    name: Annotated[str, Field(description="its machine and port")]
    slots: Annotated[Count, Field(description="turns that it runs at once, at most")]
    running: Count
    seen_s_ago: Annotated[Seconds, Field(description="since it last said that it lives")]


class System(TypedDict):
    """All processes that serve the same store, as they were `age_s` ago."""

    process_id: Annotated[str, Field(description="the one that answers this")]
    processes: list[Process]
    waiting: Annotated[Count, Field(description="turns that wait, whoever accepted them")]
    running: Count
    oldest_wait_s: Seconds
    age_s: Annotated[Seconds, Field(description="since this was read; about once a second")]


class Health(TypedDict):
    status: Literal["healthy", "draining"]
    agent_id: str
    processing: bool
    queue_depth: Annotated[Count, Field(description="turns that wait")]
    running: Count
    strategy: str
    oldest_wait_s: Seconds
    fenced: Annotated[Count, Field(description="conversations held by an agent that does not stop")]
    hung_threads: Annotated[Count, Field(description="of the agent, given up and not come back")]
    requests_in_flight: Count
    service_s: Annotated[Seconds | None, Field(description="measured seconds from start to end")]
    loop_lag_s: Seconds
    webhooks_retrying: Annotated[Count, Field(description="not taken yet, and sent again")]
    turns: Annotated[dict[str, Count], Field(description="accepted, refused, and how they ended")]
    system: NotRequired[
        Annotated[System | None, Field(description="null while Postgres cannot be reached")]
    ]


class Probe(TypedDict):
    status: Literal["alive", "ready"]


class Home(TypedDict):
    """`GET /`: what this is, and where the rest is. To strangers it does not say what it serves."""

    name: Literal["Turnline"]
    chat: str
    docs: str
    openapi: str
    health: str
    agent_id: NotRequired[str]
    agent: NotRequired[Annotated[str, Field(description="its target, and what that was taken for")]]
    strategy: NotRequired[str]


SHAPES = (
    Reply, Accepted, Turn, ConversationDetail, ConversationList, Messages, Health, Probe, Problem,
    Home,
)  # fmt: skip
"""What `schemas` describes; the others stand inside of these."""


def ended(service: Service, live: LiveTurn) -> Reply | Problem:
    """The answer to a client that waited for the turn, once it has ended."""
    assert live.ending is not None
    error = error_of(live.ending)
    if error is None:
        return _reply(service, live, live.ending)
    return _problem(service, live, error)


def ended_answer(service: Service, live: LiveTurn, headers: Headers) -> Answer:
    document = ended(service, live)
    if "title" in document:
        return as_answer(document, headers)
    return json_answer(document, 200, headers)


def refused(service: Service, asked: strategies.Turn, error: TurnError) -> Answer:
    """The answer to a message that became no turn."""
    return as_answer(_problem(service, LiveTurn(asked), error))


def _problem(service: Service, live: LiveTurn, error: TurnError) -> Problem:
    shown = None
    exposed = service.settings.agent.expose_agent_errors
    # The agent's own words are for the log.
    if exposed and isinstance(error, AgentFailed) and live.fault is not None:
        shown = in_a_line(live.fault).encode(errors="backslashreplace").decode()
    members = turn_document(
        error,
        turn_id=live.turn.id,
        conversation_id=own_id(live.turn.conversation),
        queue_depth=service.load().waiting,
        attempt=live.attempts if live.attempts > 1 else None,
        agent_error=shown,
        pointer="/resume" if isinstance(error, WrongResume) else None,
        requests=_requests(live.ending),
    )
    return cast(Problem, members)


def _requests(ending: Ending | None) -> list[InputRequest] | None:
    if ending is None or ending.requests is None:
        return None
    return _listed(from_json(ending.requests))


def _listed(requests: Iterable[Mapping[str, Any]]) -> list[InputRequest]:
    """Without what there is nothing of; a tool that takes no arguments has some: {}."""
    shown = (
        {name: value for name, value in one.items() if value not in (None, "")} for one in requests
    )
    return [cast(InputRequest, one) for one in shown]


def _reply(service: Service, live: LiveTurn, ending: Ending) -> Reply:
    document: Reply = {
        "status": "success",
        "response": ending.reply or "",
        "agent_id": service.settings.agent.id,
        "conversation_id": own_id(live.turn.conversation),
        "turn_id": live.turn.id,
        "turn": ending.number,
        "waited_ms": _ms(ending.waited_s),
        "ran_ms": _ms(ending.ran_s),
    }
    if ending.output is not None:
        document["output"] = from_json(ending.output)
    if requests := _requests(ending):
        document["status"], document["requests"] = "input_required", requests
    if ending.state is State.INTERRUPTED:
        document["interrupted"] = True
    if live.attempts > 1:
        document["attempt"] = live.attempts
    return document


def accepted(live: LiveTurn, headers: Headers) -> Answer:
    """The 202: the turn runs in the background; `Location` says where to find it."""
    document: Accepted = {
        "status": "accepted",
        "conversation_id": own_id(live.turn.conversation),
        "state": live.state,
        **standing(live),
    }
    location = ("location", f"/turns/{live.turn.id}")
    return json_answer(document, 202, (location, *headers))


def turn(service: Service, live: LiveTurn) -> Turn:
    document = cast(Turn, standing(live))
    ending = live.ending
    if ending is not None:
        error = error_of(ending)
        if error is None:
            document.update(cast(Turn, _reply(service, live, ending)))
        else:
            document["outcome"] = ending.outcome
            document["problem"] = _problem(service, live, error)
        document["fenced"] = live.is_at_work
    times = ending or live.ticket
    if times is not None:
        document["waited_ms"], document["ran_ms"] = _ms(times.waited_s), _ms(times.ran_s)
    document["conversation_id"] = own_id(live.turn.conversation)
    document["state"], document["attempt"] = live.state, live.attempts
    document["priority"] = live.turn.priority
    return document


def without_texts(document: Turn) -> Turn:
    """For who may know how a turn stands, and not what was said."""
    texts = ("response", "output", "requests", "problem")
    return cast(Turn, {name: value for name, value in document.items() if name not in texts})


def standing(live: LiveTurn) -> Standing:
    """Where it stands in the line."""
    place = live.ticket.place() if live.ticket is not None else None
    if place is None or live.state is not State.WAITING:
        return {"turn_id": live.turn.id, "position": 0, "eta_s": 0.0}
    between = place.range_s
    return {
        "turn_id": live.turn.id,
        "position": place.position,
        "eta_s": None if place.eta_s is None else round(place.eta_s, 3),
        "eta_range_s": None if between is None else (round(between[0], 3), round(between[1], 3)),
    }


def conversation_detail(
    one: Conversation, requests: Sequence[Mapping[str, Any]] = ()
) -> ConversationDetail:
    """`requests`: what its agent needs a person for, and nobody has answered."""
    running = (_in_line(live) for live in one.line if live.state is State.RUNNING)
    waiting = [_in_line(live) for live in one.line if live.state is State.WAITING]
    document: ConversationDetail = {
        "conversation_id": own_id(one.id),
        "turns": one.turns,
        "running": next(running, None),
        "waiting": sorted(waiting, key=lambda shown: shown["position"] or 0),
    }
    if requests:
        document["requests"] = _listed(requests)
    return document


def conversation_summary(one: Summary) -> ConversationSummary:
    return {
        "conversation_id": own_id(one.id),
        "turns": one.turns,
        "running": one.running,
        "waiting": one.waiting,
    }


def _in_line(live: LiveTurn) -> TurnInLine:
    ticket = live.ticket
    assert ticket is not None
    return {
        "turn_id": live.turn.id,
        "position": standing(live)["position"],
        "age_s": round(ticket.waited_s + ticket.ran_s, 3),
        "attempt": live.attempts,
        "priority": live.turn.priority,
    }


def home(service: Service) -> Home:
    document: Home = {
        "name": "Turnline",
        "chat": "/chat",
        "docs": "/docs",
        "openapi": "/openapi.json",
        "health": "/health",
    }
    if not service.settings.server.tokens:  # Who has one asks `/health`.
        document["agent_id"] = service.settings.agent.id
        document["agent"] = f"{service.about.target} ({service.about.kind})"
        document["strategy"] = service.settings.strategy.name
    return document


def health(service: Service) -> Health:
    load = service.load()
    document: Health = {
        "status": "draining" if service.draining else "healthy",
        "agent_id": service.settings.agent.id,
        "processing": load.running + load.fenced > 0,
        "queue_depth": load.waiting,
        "running": load.running,
        "strategy": service.settings.strategy.name,
        "oldest_wait_s": round(load.oldest_wait_s, 3),
        "fenced": load.fenced,
        "hung_threads": service.threads.hung,
        "requests_in_flight": service.requests_in_flight,
        "service_s": None if load.service_s is None else round(load.service_s, 6),
        "loop_lag_s": round(service.lag.worst_s, 6),
        "webhooks_retrying": service.webhooks.retrying,
        "turns": {
            "accepted": load.accepted,
            "refused_at_once": service.refusals.total(),
            **{str(state): count for state, count in load.ended.items()},
        },
    }
    if service.system is not None:
        document["system"] = system(service.system)
    return document


def system(known_by: figures.Figures) -> System | None:
    """None while Postgres cannot be reached."""
    reading = known_by.latest()
    if reading is None:
        return None
    known = reading.system
    return {
        "process_id": known_by.own,
        "processes": [_process(one) for one in known.processes],
        "waiting": known.waiting,
        "running": known.running,
        "oldest_wait_s": round(known.oldest_wait_s, 3),
        "age_s": round(reading.age_s, 3),
    }


def _process(one: figures.Process) -> Process:
    return {
        "id": one.id,
        "name": one.name,
        "slots": one.slots,
        "running": one.running,
        "seen_s_ago": round(one.seen_s_ago, 3),
    }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
