"""A second simulator, written from the definitions alone, to show that the first is right.

Plain discrete events: a heap of instants, no event loop, no task. It shares with the first
one the schedules (`loadtests.workloads`) and nothing else. What is taken from definitions:
clients and their retries (`clients.py`), when an attempt is given up (`users.py`), the
estimate of a service time (`ServiceTime`), and the measures (`figures.py`). Each user's
random numbers are seeded as `take_turn` seeds them, so that both simulators see the same
luck, and a difference between them is a difference of rules. Agents never fail here.

A policy has three hooks: `submit` for what comes, `left` for what stops waiting, `ended`
for what ran. In them it calls `start`, `refuse` or `expire` of the `Server`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from math import erfc, inf, log, log1p, sqrt
from random import Random
from typing import Protocol

from loadtests.workloads.workload import Arrival, Workload

ANSWERED, LEFT, BUSY, FULL, EXPIRED, STOPPED = 200, 0, 409, 429, 503, 504

SAME_S = 1e-6
"""Instants that are closer than this are the same: thirty retries, a unit apart, add up to a
patience of thirty units only on paper."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Shares of the users, and of the capacity.

    served   answered, by an attempt that took no longer than its own timeout.
    in_time  answered within one timeout of being due.
    goodput  agent seconds for the served while users came, of all that it could work.
    """

    served: float
    in_time: float
    goodput: float


@dataclass(slots=True, eq=False)
class Sent:
    """One attempt, as the server sees it. Instants in seconds; `inf` for never."""

    user: int
    conversation: str
    service_s: float
    sent_s: float
    deadline_s: float
    state: str = "waiting"  # then "running", then "over"
    heard: bool = True
    began_s: float = inf
    works: bool = False
    status: int | None = None


class ServiceTime:
    """Mean and variance of the last hundred measured times from start to end."""

    def __init__(self) -> None:
        self.mean_s: float | None = None
        self.variance_s2 = 0.0
        self._latest_s = deque[float](maxlen=100)

    def observe(self, ran_s: float) -> None:
        self._latest_s.append(ran_s)
        count, mean_s = len(self._latest_s), sum(self._latest_s) / len(self._latest_s)
        self.variance_s2 = sum((each_s - mean_s) ** 2 for each_s in self._latest_s) / count
        self.mean_s = mean_s

    def rest_s(self, ran_s: float) -> float | None:
        """E[S - ran | S > ran] of the lognormal S of that mean and variance; None: unmeasured."""
        mean_s = self.mean_s
        if mean_s is None:
            return None
        square = log1p(self.variance_s2 / mean_s**2) if mean_s else 0.0
        if not square or ran_s <= 0:
            return max(mean_s - ran_s, 0.0)
        sigma = sqrt(square)
        place = (log(mean_s / ran_s) - square / 2) / sigma
        alive = normal(place)
        if alive < 1e-6:  # The first term of the tail; the quotient loses its digits there.
            return -ran_s * sigma / place
        return max(mean_s * normal(place + sigma) / alive - ran_s, 0.0)


def normal(x: float) -> float:
    """The distribution function of the standard normal distribution."""
    return erfc(-x / sqrt(2)) / 2


class Policy(Protocol):
    def submit(self, server: Server, sent: Sent) -> None: ...
    def left(self, server: Server, sent: Sent) -> None: ...
    def ended(self, server: Server, sent: Sent) -> None: ...


class Server:
    """Clients, the agent and the clock, around one policy."""

    def __init__(self, workload: Workload, policy: Policy) -> None:
        self.workload, self.policy = workload, policy
        self.now_s, self.service = 0.0, ServiceTime()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._events_made = 0
        self._running: dict[Sent, None] = {}
        self._working, self._queued = 0, deque[Sent]()
        self._tries = Counter[int]()
        self._luck: dict[int, Random] = {}
        self._answers: dict[int, tuple[float, float]] = {}

    def run(self) -> Outcome:
        for user, arrival in enumerate(self.workload.arrivals):
            self.at(arrival.due_s, partial(self._send, user))
        while self._events:
            self.now_s, _, happen = heappop(self._events)
            happen()
        return self._outcome()

    def at(self, instant_s: float, happen: Callable[[], None]) -> None:
        self._events_made += 1
        heappush(self._events, (instant_s, self._events_made, happen))

    @property
    def longest_s(self) -> float:
        """How long the first of those that run has run: before a measurement all that is known."""
        return self.now_s - next(iter(self._running)).began_s if self._running else 0.0

    # What a policy may do.

    def start(self, sent: Sent) -> None:
        sent.state, sent.began_s = "running", self.now_s
        self._running[sent] = None
        if self._working < (self.workload.backends or inf):
            self._work(sent)
        else:
            self._queued.append(sent)

    def refuse(self, sent: Sent, status: int, hint_s: float | None = None) -> None:
        """It ends without a start: refused at once, or expired while it waited."""
        sent.state, sent.status = "over", status
        self._hear(sent, status, hint_s)

    def expire(self, sent: Sent) -> None:
        """If it still waits, or runs, its time is over."""
        if sent.state == "waiting":
            self.refuse(sent, EXPIRED)
            self.policy.left(self, sent)
        elif sent.state == "running":
            self._end(sent, STOPPED)

    # The agent: so many work at once, the others wait inside it, first come, first served.

    def _work(self, sent: Sent) -> None:
        self._working += 1
        sent.works = True
        self.at(self.now_s + sent.service_s, lambda: self._done(sent))

    def _done(self, sent: Sent) -> None:
        if sent.state == "running":
            self._end(sent, ANSWERED)

    def _end(self, sent: Sent, status: int) -> None:
        sent.state, sent.status = "over", status
        del self._running[sent]
        if sent.works:
            self._working -= 1
            while self._queued:
                following = self._queued.popleft()
                if following.state == "running":
                    self._work(following)
                    break
        ran_s = self.now_s - sent.began_s
        if status != STOPPED or ran_s > (self.service.mean_s or 0.0):
            # One that was stopped would have run longer: it counts if even so it was a long one.
            self.service.observe(ran_s)
        self._hear(sent, status)
        self.policy.ended(self, sent)

    # The clients.

    def _send(self, user: int) -> None:
        arrival, clients = self.workload.arrivals[user], self.workload.clients
        timeout_s = self._timeout_s(arrival)
        self._tries[user] += 1
        deadline_s = self.now_s + timeout_s if clients.tells_deadline else inf
        sent = Sent(user, arrival.conversation, arrival.service_s, self.now_s, deadline_s)
        self.policy.submit(self, sent)
        if sent.state == "over":
            return
        if deadline_s < inf:
            self.at(deadline_s, lambda: self.expire(sent))
        gives_up_s = timeout_s if clients.leaves else 10 * timeout_s
        self.at(self.now_s + gives_up_s, lambda: self._leave(sent))

    def _leave(self, sent: Sent) -> None:
        if sent.state == "over":
            return
        waited = sent.state == "waiting"
        if waited:
            sent.state, sent.status = "over", LEFT
        self._hear(sent, LEFT)
        if waited:
            self.policy.left(self, sent)

    def _hear(self, sent: Sent, status: int, hint_s: float | None = None) -> None:
        if not sent.heard:
            return
        sent.heard = False
        if status == ANSWERED:
            self._answers[sent.user] = (sent.sent_s, self.now_s)
            return
        workload, user = self.workload, sent.user
        unit_s, patience_s = workload.service_s, workload.clients.patience * workload.service_s
        rng = self._luck.setdefault(user, Random(f"{workload.name} {workload.seed} {user}"))
        wait_s = again(workload.clients.retry, self._tries[user], status, hint_s, unit_s, rng)
        until_s = workload.arrivals[user].due_s + patience_s - SAME_S
        if wait_s is not None and self.now_s + wait_s < until_s:
            self.at(self.now_s + wait_s, lambda: self._send(user))

    def _timeout_s(self, arrival: Arrival) -> float:
        return arrival.timeout_s or self.workload.clients.timeout * self.workload.service_s

    def _outcome(self) -> Outcome:
        users, workload = self.workload.arrivals, self.workload
        served = in_time = 0
        useful_s = 0.0
        for user, (sent_s, ended_s) in self._answers.items():
            timeout_s = self._timeout_s(users[user])
            in_time += ended_s - users[user].due_s <= timeout_s
            if ended_s - sent_s <= timeout_s:
                served += 1
                useful_s += users[user].service_s if ended_s <= workload.horizon_s else 0.0
        goodput = useful_s / (workload.horizon_s * workload.capacity)
        return Outcome(served / len(users), in_time / len(users), goodput)


def again(
    retry: str, tried: int, status: int, hint_s: float | None, unit_s: float, rng: Random
) -> float | None:
    """Seconds after which a client tries again; None: it does not."""
    if retry == "give-up":
        return None
    if retry == "fixed":
        return unit_s
    if retry == "openai":
        if tried > 2:
            return None
        if hint_s is not None and 0 < hint_s <= 60 * unit_s:
            return hint_s
        return min(0.5 * 2.0 ** (tried - 1), 8) * unit_s * (1 - rng.random() / 4)
    return max(rng.uniform(0, min(2.0 ** (tried - 1), 8)) * unit_s, hint_s or 0.0)
