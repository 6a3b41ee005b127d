"""What a user does until there is an answer: tries, gives an attempt up, waits, tries again.

Deciding is apart from doing. `take_turn` is a generator that says what to do next
and is told what came of it, so that the same clients stand behind Locust's
greenlets, with real sockets, and in the simulation, in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from loadtests.records import BROKEN, LEFT, Tried, UserTurn

if TYPE_CHECKING:
    from loadtests.workloads import Arrival, Workload


@dataclass(frozen=True, slots=True)
class Clients:
    """How all clients of a workload behave. Times in units of the mean service time.

    timeout         an attempt is worth nothing after this long.
    patience        a user begins no attempt so long after the first.
    retry           the name of a policy in POLICIES.
    tells_deadline  each attempt says its timeout to the server (`Turn-Deadline-Ms`).
    leaves          the connection is closed at the timeout; otherwise the answer comes late.
    """

    timeout: float
    patience: float
    retry: str
    tells_deadline: bool = True
    leaves: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an attempt has no answer: a status (LEFT where the client gave it up) and a hint."""

    status: int
    retry_after_s: float | None = None


Policy = Callable[[int, Refusal, float, Random], float | None]
"""(attempts so far, the last one's refusal, unit in seconds, rng) -> seconds to wait, or None."""


def give_up(tried: int, refusal: Refusal, unit_s: float, rng: Random) -> float | None:
    return None


def fixed(tried: int, refusal: Refusal, unit_s: float, rng: Random) -> float | None:
    """Again after one unit, whatever the server says."""
    return unit_s


def openai(tried: int, refusal: Refusal, unit_s: float, rng: Random) -> float | None:
    """Twice, as OpenAI's Python client does by default.

    After a timeout, a broken connection, 408, 409, 429 and 5xx; it honours Retry-After up
    to 60 s, and else waits 0.5 s x 2^n up to 8 s, less up to a quarter. Source:
    openai-python `_base_client.py`, `_calculate_retry_timeout`. Its seconds are units here.
    """
    retryable = refusal.status in (LEFT, BROKEN, 408, 409, 429) or refusal.status >= 500
    if tried > 2 or not retryable:
        return None
    if refusal.retry_after_s is not None and 0 < refusal.retry_after_s <= 60 * unit_s:
        return refusal.retry_after_s
    return min(0.5 * 2.0 ** (tried - 1), 8.0) * (1 - 0.25 * rng.random()) * unit_s


def backoff(tried: int, refusal: Refusal, unit_s: float, rng: Random) -> float | None:
    """Exponential with full jitter (Brooker 2015, AWS), and never before Retry-After."""
    delay_s = rng.uniform(0, min(2.0 ** (tried - 1), 8.0)) * unit_s
    return max(delay_s, refusal.retry_after_s or 0.0)


POLICIES: dict[str, Policy] = {
    "give-up": give_up,
    "fixed": fixed,
    "openai": openai,
    "backoff": backoff,
}


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message now, and come back with its Answer.

    give_up_s   seconds after which to close the connection and answer LEFT.
    deadline_s  what to tell the server, or None.
    """

    message: str
    conversation: str
    give_up_s: float
    deadline_s: float | None


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


def take_turn(
    workload: Workload, number: int, clock: Callable[[], float], began_s: float
) -> Conduct:
    """One user's turn, from when it is due to its answer or the end of the user's patience.

    number   of the arrival in the schedule.
    clock    seconds since the start of the schedule.
    began_s  when the turn was really begun; what it is behind is the generator's own lag.
    """
    arrival, clients, unit_s = workload.arrivals[number], workload.clients, workload.service_s
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
        )
        assert answer is not None
        attempts.append(_tried(answer, sent_s, clock()))
        if answer.status == 200:
            break
        refusal = Refusal(answer.status, answer.retry_after_s)
        delay_s = POLICIES[clients.retry](len(attempts), refusal, unit_s, rng)
        if delay_s is None or clock() + delay_s > arrival.due_s + clients.patience * unit_s:
            break
        yield Pause(delay_s)
    lag_s = max(0.0, began_s - arrival.due_s)
    return UserTurn(number, arrival.conversation, arrival.due_s, timeout_s, lag_s, tuple(attempts))


def _tried(answer: Answer, sent_s: float, ended_s: float) -> Tried:
    return Tried(sent_s, ended_s, answer.status, answer.number, answer.waited_s, answer.ran_s)


def message_text(number: int, attempt: int, arrival: Arrival) -> str:
    """What is sent: each attempt has words of its own, so that a history tells them apart."""
    end = "fail" if arrival.fails and attempt == 1 else "answer"
    return f"[{number}.{attempt}] Wait {arrival.service_s:.6f} s, then {end}."
