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
    after         the number of the arrival that the same user sent before: this one is due
                  `think_s` after that one ended, answered or given up, and `due_s` is
                  when that would be if no turn waited. None for one that is due at `due_s`.
    repeats       the number of the arrival that this one is a double of: the same words
                  to the same end, so that work at both is worth that at one.
    caller        who asks; "" where nobody is named.
    """

    due_s: float
    conversation: str
    service_s: float
    fails: bool = False
    timeout_s: float | None = None
    after: int | None = None
    think_s: float = 0.0
    repeats: int | None = None
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """A schedule and the kind of clients that follow it.

    service_s  mean service time in seconds, the unit of `clients`.
    horizon_s  seconds in which users come.
    backends   turns that the agent can work at, at once; None for any number.
    overhead_s what a turn costs beside the agent's work (HTTP, the store), seconds in which
               its conversation's slot is held and no answer is out. Virtual time adds it, so
               as to state a real run whose services are short; a real run has its own.
               It is no useful work.
    """

    name: str
    seed: int
    service_s: float
    horizon_s: float
    clients: Clients
    arrivals: tuple[Arrival, ...]
    backends: int | None = None
    overhead_s: float = 0.0

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
    def following(self) -> dict[int, int]:
        """Of each arrival that its user goes on from: the number of the next."""
        return {a.after: number for number, a in enumerate(self.arrivals) if a.after is not None}

    @property
    def longest(self) -> int:
        """The most turns that one user takes one after the other."""
        places: list[int] = []
        for arrival in self.arrivals:
            places.append(1 if arrival.after is None else places[arrival.after] + 1)
        return max(places, default=1)

    @property
    def offered(self) -> float:
        """Load: the work that came, as a share of what could be done in the time."""
        work_s = sum(arrival.service_s for arrival in self.arrivals)
        return work_s / (self.horizon_s * self.capacity)
