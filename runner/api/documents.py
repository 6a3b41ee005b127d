"""What a client is shown of a turn: the body of a 200, of a 202, of a problem, of `GET /turns`."""

from __future__ import annotations

import json
from typing import Any

from runner.api.problems import Answer, Headers, json_answer, turn_problem
from runner.callers import split
from runner.service import Service
from runner.store.base import Ending
from runner.turns.ending import error_of
from runner.turns.live import LiveTurn
from strategies import State, TurnError

Document = dict[str, Any]


def ended(service: Service, live: LiveTurn, headers: Headers = ()) -> Answer:
    """The answer to whoever waited for the turn, which has ended."""
    ending = live.ending
    assert ending is not None
    error = live.error or error_of(ending)
    if error is not None:
        return failed(service, live, error, headers)
    return json_answer(200, _success(service, live, ending), headers)


def failed(service: Service, live: LiveTurn, error: TurnError, headers: Headers = ()) -> Answer:
    members = {
        "turn_id": live.turn.id,
        "conversation_id": split(live.turn.conversation)[1],
        "queue_depth": service.load().waiting,
        "attempt": live.attempts if live.attempts > 1 else None,
    }
    exposed = service.settings.agent.expose_agent_errors
    return turn_problem(error, members, expose_agent_errors=exposed, headers=headers)


def accepted(live: LiveTurn, headers: Headers = ()) -> Answer:
    """The 202: the turn goes on, and here is how it may be asked for."""
    location = ("location", f"/turns/{live.turn.id}")
    return json_answer(202, {"status": "accepted", **_place(live)}, (location, *headers))


def turn(service: Service, live: LiveTurn) -> Document:
    """The turn as it stands now."""
    document = _place(live)
    document["attempt"] = live.attempts
    document["priority"] = live.turn.priority
    if live.ticket is not None and live.ending is None:
        document["waited_ms"] = _ms(live.ticket.waited_s)
        document["ran_ms"] = _ms(live.ticket.ran_s)
    if live.ending is not None:
        document.update(_outcome(service, live, live.ending))
        document["fenced"] = live.at_work
    return document


def queued(live: LiveTurn) -> Document:
    """Where it stands in the line."""
    ticket = live.ticket
    place = ticket.place() if ticket is not None and live.state is State.WAITING else None
    if place is None:
        return {"turn_id": live.turn.id, "position": 0, "eta_s": 0.0}
    between = place.range_s
    return {
        "turn_id": live.turn.id,
        "position": place.position,
        "eta_s": None if place.eta_s is None else round(place.eta_s, 3),
        "eta_range_s": None if between is None else [round(end, 3) for end in between],
    }


def _place(live: LiveTurn) -> Document:
    return {
        "turn_id": live.turn.id,
        "conversation_id": split(live.turn.conversation)[1],
        "state": live.state,
        **queued(live),
    }


def _outcome(service: Service, live: LiveTurn, ending: Ending) -> Document:
    """The members of the 200 or of the problem document."""
    error = live.error or error_of(ending)
    if error is None:
        return _success(service, live, ending)
    problem = failed(service, live, error)
    return {
        "outcome": ending.outcome,
        "problem": json.loads(problem.body),
        "waited_ms": _ms(ending.waited_s),
        "ran_ms": _ms(ending.ran_s),
    }


def _success(service: Service, live: LiveTurn, ending: Ending) -> Document:
    document: Document = {
        "status": "success",
        "response": ending.reply,
        "agent_id": service.settings.agent.id,
        "conversation_id": split(live.turn.conversation)[1],
        "turn_id": live.turn.id,
        "turn": ending.number,
        "waited_ms": _ms(ending.waited_s),
        "ran_ms": _ms(ending.ran_s),
    }
    if ending.state is State.INTERRUPTED:
        document["interrupted"] = True
    if live.attempts > 1:
        document["attempt"] = live.attempts
    return document


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
