"""Runs made by hand: a schedule of one conversation, and what became of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from loadtests.measures import attempts
from loadtests.measures.attempts import LoggedCall
from loadtests.measures.records import Call, History, Run, Tried, UserTurn, parts
from loadtests.workloads.shapes import make
from loadtests.workloads.users import message_text
from loadtests.workloads.workload import Arrival, Workload
from runner.agents.chain import START, make_link

WORKLOAD = make("steady-0.5", 1, service_s=1.0, services=40)


def arrival(number: int) -> Arrival:
    return WORKLOAD.arrivals[number]


def answered(number: int, place: int, sent_s: float, ended_s: float) -> UserTurn:
    tried = Tried(sent_s, ended_s, 200, place, 0.0, ended_s - sent_s)
    return UserTurn(number, "one", sent_s, 10.0, 0.0, (tried,))


def refused(number: int, status: int, sent_s: float) -> UserTurn:
    tried = Tried(sent_s, sent_s + 0.1, status, 0, 0.0, 0.0)
    return UserTurn(number, "one", sent_s, 10.0, 0.0, (tried,))


def history(*messages: str, digest: str | None = None, stale: int = 0) -> History:
    return History("one", messages, replay(messages) if digest is None else digest, stale)


def replay(messages: tuple[str, ...], workload: Workload = WORKLOAD) -> str:
    prior = START
    for place, message in enumerate(messages, 1):
        number = int(message.partition(".")[0])
        text = message_text(number, workload.arrivals[number])
        prior = str(json.loads(make_link(place, prior, text))["hash"])
    return prior if messages else ""


def a_run(
    *turns: UserTurn,
    histories: tuple[History, ...] = (),
    calls: tuple[Call, ...] = (),
    **more: Any,
) -> Run:
    return Run("queue", WORKLOAD.name, 1, 1.0, 40.0, turns, calls, histories, **more)


def as_found(
    run: Run, histories: tuple[History, ...] | None = None, *, by_time: bool = False
) -> Run:
    """The run as it would have come from a real server: named by number, attempts found again.

    histories  in place of its own, by numbers or by attempts.
    by_time    no server says which turn it was.
    """
    turns = run.turns if by_time else tuple(map(_with_ids, run.turns))
    calls = attempts.of_calls(turns, (_logged(call, by_time=by_time) for call in run.calls))
    told = run.histories if histories is None else histories
    raw = [replace(each, messages=tuple(map(_numbers, each.messages))) for each in told]
    named = attempts.of_histories(raw, calls)
    return replace(run, turns=turns, calls=calls, histories=named)


def _with_ids(turn: UserTurn) -> UserTurn:
    """As a server names turns to clients that do not leave."""
    tried = (
        replace(each, turn_id=f"{turn.number}.{index}") if each.status > 0 else each
        for index, each in enumerate(turn.attempts, 1)
    )
    return replace(turn, attempts=tuple(tried))


def _logged(call: Call, *, by_time: bool) -> LoggedCall:
    turn_id = "" if by_time else parts(call.message)[0]
    times = call.began_s, call.ended_s
    logged = _numbers(call.message), call.conversation, *times, call.ended, call.began_s
    return LoggedCall(*logged, turn_id)


def _numbers(message: str) -> str:
    return "+".join(name.partition(".")[0] for name in parts(message))
