"""A user's turn, from when it is due to its answer or the end of the user's patience.

Deciding is apart from doing. `take_turn` is a generator that says what to do next
and is told what came of it, so that the same clients stand behind Locust's
greenlets, with real sockets, and in the simulation, in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from random import Random

from loadtests.measures.records import Tried, UserTurn
from loadtests.workloads.clients import POLICIES, Refusal
from loadtests.workloads.workload import Arrival, Workload


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message now, and come back with its Answer.

    give_up_s   seconds after which to close the connection and answer LEFT.
    deadline_s  what to tell the server, or None.
    caller      who asks, "" where nobody is named.
    """

    message: str
    conversation: str
    give_up_s: float
    deadline_s: float | None
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Come back after so many seconds, with None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a Send.

    status    the HTTP status, or what the server would have said; LEFT for a client that left.
    number    the turn's place in its conversation, where it was answered.
    waited_s  as the server measured it.
    ran_s     as the server measured it.
    """

    status: int
    number: int = 0
    waited_s: float = 0.0
    ran_s: float = 0.0
    retry_after_s: float | None = None


Conduct = Generator[Send | Pause, Answer | None, UserTurn]


def take_turns(
    workload: Workload, number: int, clock: Callable[[], float], following: Mapping[int, int]
) -> Generator[Send | Pause, Answer | None, tuple[UserTurn, ...]]:
    """All turns of a user who begins with this arrival, one after the other.

    Where another follows, the user thinks after the end of the one before, which may be
    an answer or giving up: so every strategy meets the same turns. The next is due when
    the thinking ends, and its time to answer counts from then.

    clock      seconds since the start of the schedule.
    following  the workload's own; it is given because making it takes a look at all arrivals.
    """
    turns = [(yield from take_turn(workload, number, clock, clock()))]
    while number in following:
        number = following[number]
        due_s = clock() + workload.arrivals[number].think_s
        yield Pause(workload.arrivals[number].think_s)
        turns.append((yield from take_turn(workload, number, clock, clock(), due_s)))
    return tuple(turns)


def take_turn(
    workload: Workload,
    number: int,
    clock: Callable[[], float],
    began_s: float,
    due_s: float | None = None,
) -> Conduct:
    """One user's turn, from when it is due to its answer or the end of the user's patience.

    number   of the arrival in the schedule.
    clock    seconds since the start of the schedule.
    began_s  when the turn was really begun; what it is behind is the generator's own lag.
    due_s    when it is due, if another time than the schedule says.
    """
    arrival, clients, unit_s = workload.arrivals[number], workload.clients, workload.service_s
    due_s = arrival.due_s if due_s is None else due_s
    rng = Random(f"{workload.name} {workload.seed} {number}")
    timeout_s = arrival.timeout_s or clients.timeout * unit_s
    attempts: list[Tried] = []
    while True:
        sent_s = clock()
        answer = yield Send(
            message_text(number, len(attempts) + 1, arrival),
            arrival.conversation,
            timeout_s if clients.leaves else 10 * timeout_s,
            timeout_s if clients.tells_deadline else None,
            arrival.caller,
        )
        assert answer is not None
        attempts.append(_tried(answer, sent_s, clock()))
        if answer.status == 200:
            break
        refusal = Refusal(answer.status, answer.retry_after_s)
        delay_s = POLICIES[clients.retry](len(attempts), refusal, unit_s, rng)
        if delay_s is None or clock() + delay_s > due_s + clients.patience * unit_s:
            break
        yield Pause(delay_s)
    lag_s = max(0.0, began_s - due_s)
    return UserTurn(number, arrival.conversation, due_s, timeout_s, lag_s, tuple(attempts))


def _tried(answer: Answer, sent_s: float, ended_s: float) -> Tried:
    return Tried(sent_s, ended_s, answer.status, answer.number, answer.waited_s, answer.ran_s)


def message_text(number: int, attempt: int, arrival: Arrival) -> str:
    """What is sent: each attempt has words of its own, so that a history tells them apart.

    A real client repeats its words. With shared words the checker could only count: a
    history that holds the refused attempt in place of a later one that the client left
    would pass as sound, and so would one that holds an attempt twice beside one that was
    left. The agent's calls could not be told apart either, so `wasted` would be a guess.
    So no run here shows what comparing words would be worth to a strategy.
    """
    end = "fail" if arrival.fails and attempt == 1 else "answer"
    return f"[{number}.{attempt}] Wait {arrival.service_s:.6f} s, then {end}."
