"""A workload: who sends what, and when. Plain data; `shapes` and the other modules make it."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.workloads.clients import Clients


@dataclass(frozen=True, slots=True)
class Arrival:
    """One user's turn.

    due_s         when the user sends it, seconds from the start.
    service_s     seconds that the agent takes for it, whichever attempt it is.
    fails         the agent fails at the first attempt.
    timeout_s     this user's own patience with an attempt, or None for that of all.
    """

    due_s: float
    conversation: str
    service_s: float
    fails: bool = False
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """A schedule and the kind of clients that follow it.

    service_s  mean service time in seconds, the unit of `clients`.
    horizon_s  seconds in which users come.
    backends   turns that the agent can work at, at once; None for any number.
    """

    name: str
    seed: int
    service_s: float
    horizon_s: float
    clients: Clients
    arrivals: tuple[Arrival, ...]
    backends: int | None = None

    @property
    def capacity(self) -> int:
        """Agents' worth of work that could be done at once; 1 where there is one conversation."""
        conversations = len({arrival.conversation for arrival in self.arrivals})
        return min(self.backends or conversations, conversations) or 1

    @property
    def max_running(self) -> int:
        """The slots that whoever knows the agent would configure."""
        return self.backends or 8

    @property
    def offered(self) -> float:
        """Load: the work that came, as a share of what could be done in the time."""
        work_s = sum(arrival.service_s for arrival in self.arrivals)
        return work_s / (self.horizon_s * self.capacity)
