"""What a run leaves: plain data, written as JSON lines and read again.

The reports are made from these lines alone. `SCHEMA` says what is in them, and is
written beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

LEFT = 0
"""In place of a status: the client gave the attempt up."""

BROKEN = -1
"""In place of a status: the connection broke before there was an answer."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt at a turn. Seconds since the start of the schedule; waited and ran by the server.

    number   the turn's place in its conversation, 0 where there was no answer.
    turn_id  what the server called it, "" where the client was not told. It is of use while
             the records are made, and not kept with them.
    """

    sent_s: float
    ended_s: float
    status: int
    number: int
    waited_s: float
    ran_s: float
    turn_id: str = ""


@dataclass(frozen=True, slots=True)
class UserTurn:
    """One user's turn, retries included; `lag_s` is how late the generator began it."""

    number: int
    conversation: str
    due_s: float
    timeout_s: float
    lag_s: float
    attempts: tuple[Tried, ...]

    @property
    def answer(self) -> Tried | None:
        """The attempt that was answered."""
        last = self.attempts[-1]
        return last if last.status == 200 else None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the agent, as the agent saw it. Seconds since the start of the schedule.

    message  `number.attempt` of the attempt that it was for; see `parts`.
    ended    "answered", "failed" or "stopped".
    """

    message: str
    conversation: str
    began_s: float
    ended_s: float
    ended: str


@dataclass(frozen=True, slots=True)
class History:
    """What a conversation's history was when all had ended.

    messages  `number.attempt` of each turn, in order; see `parts`.
    digest    the last reply's hash, "" where there is none.
    stale     turns whose reply does not stand on the ones before it; None if the
              agent's replies cannot tell.
    """

    conversation: str
    messages: tuple[str, ...]
    digest: str
    stale: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """One strategy under one workload with one seed.

    crossings  calls of the agent in another process than the call before them in their
               conversation: 0 where one process serves.
    """

    strategy: str
    workload: str
    seed: int
    service_s: float
    services: float
    turns: tuple[UserTurn, ...]
    calls: tuple[Call, ...]
    histories: tuple[History, ...]
    exit_status: int = 0
    counters_agree: bool = True
    refused_by_pool: int = 0
    crossings: int = 0


def parts(message: str) -> list[str]:
    """The attempts that a call or a turn was for: one, or several where they were merged."""
    return message.split("+")


SCHEMA: dict[str, Any] = {
    "run": "one line a run: how it was made, and what the server said at its end",
    "run.services": "length of the schedule in mean service times (service_s)",
    "run.exit_status": "of the servers after SIGTERM, 0 if that of all is",
    "run.counters_agree": "accepted = the sum of all endings, in /health of each at the end (I-9)",
    "run.refused_by_pool": "turns that the generator could not send: it had too many open",
    "run.crossings": "calls of the agent in another process than the call before them in their "
    "conversation",
    "turns": "one item a user's turn: [number, conversation, due_s, timeout_s, lag_s, attempts]",
    "turns.attempts": "[[sent_s, ended_s, status, number, waited_s, ran_s], ...]; status 0: the "
    "client left, -1: the connection broke; number: the turn's place in its conversation",
    "calls": "one item a call of the agent: [number.attempt, conversation, began_s, ended_s, how]",
    "histories": "one item a conversation: [conversation, [number.attempt, ...], digest, stale]",
    "number.attempt": "which attempt of which turn; joined by + where several were merged in one",
    "times": "seconds since the start of the schedule, on the machine's monotonic clock",
}


def to_line(run: Run) -> str:
    """The run as one JSON line; times to a tenth of a millisecond."""
    fields: dict[str, Any] = {
        name: getattr(run, name)
        for name in Run.__slots__
        if name not in ("turns", "calls", "histories")
    }
    fields["turns"] = [_turn_to_list(turn) for turn in run.turns]
    fields["calls"] = [
        [c.message, c.conversation, _t(c.began_s), _t(c.ended_s), c.ended] for c in run.calls
    ]
    fields["histories"] = [
        [h.conversation, list(h.messages), h.digest, h.stale] for h in run.histories
    ]
    return json.dumps(fields, separators=(",", ":"))


def from_line(line: str) -> Run:
    fields = json.loads(line)
    fields["turns"] = tuple(map(turn_from_list, fields["turns"]))
    fields["calls"] = tuple(Call(*item) for item in fields["calls"])
    fields["histories"] = tuple(
        History(conversation, tuple(messages), digest, stale)
        for conversation, messages, digest, stale in fields["histories"]
    )
    return Run(**fields)


def turn_from_list(item: list[Any]) -> UserTurn:
    number, conversation, due_s, timeout_s, lag_s, attempts = item
    tried = tuple(Tried(*fields) for fields in attempts)
    return UserTurn(number, conversation, due_s, timeout_s, lag_s, tried)


def _turn_to_list(turn: UserTurn) -> list[Any]:
    attempts = [
        [_t(t.sent_s), _t(t.ended_s), t.status, t.number, _t(t.waited_s), _t(t.ran_s)]
        for t in turn.attempts
    ]
    head = [turn.number, turn.conversation, _t(turn.due_s), _t(turn.timeout_s), _t(turn.lag_s)]
    return [*head, attempts]


def turns_to_lines(turns: Iterable[UserTurn]) -> str:
    """As they leave the generator: `turns` of a run, with each attempt's turn id at its end."""
    return "".join(json.dumps(_with_ids(turn), separators=(",", ":")) + "\n" for turn in turns)


def _with_ids(turn: UserTurn) -> list[Any]:
    *head, attempts = _turn_to_list(turn)
    ids = (tried.turn_id for tried in turn.attempts)
    return [*head, [[*tried, turn_id] for tried, turn_id in zip(attempts, ids, strict=True)]]


def _t(seconds: float) -> float:
    return round(seconds, 4)
