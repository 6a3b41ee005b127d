"""The policy of `queue` in the second simulator, from its rules in words."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from statistics import fmean

from tests.evidence.second_simulator import (
    ANSWERED,
    EXPIRED,
    FULL,
    LEFT,
    STOPPED,
    Sent,
    Server,
)

GOOD_ENOUGH = 0.9
"""A waiting turn starts while its chance is so large a share of a fresh one's."""

UNTOLD_M = 4.0
STANDING_M = 20.0
RETRY_SHARE = 0.5
DEPARTURES = 3


@dataclass(frozen=True, slots=True)
class Stay:
    """How long untold clients wait, by the product-limit estimate.

    masses   (wait, share of the clients that leave then), ascending.
    tail     the share that stays beyond all of them.
    """

    masses: tuple[tuple[float, float], ...]
    tail: float
    doubt: float

    @classmethod
    def of(cls, waits: Sequence[tuple[float, bool]]) -> Stay | None:
        """From (wait, whether it ended with a departure); None for too few departures."""
        departures = sum(departed for _, departed in waits)
        if departures < DEPARTURES:
            return None
        share, masses = 1.0, list[tuple[float, float]]()
        # At equal waits departures count before those who were not seen to leave.
        ordered = sorted(waits, key=lambda each: (each[0], not each[1]))
        for number, (wait_s, departed) in enumerate(ordered):
            if departed:
                mass = share / (len(ordered) - number)
                masses.append((wait_s, mass))
                share -= mass
        return cls(tuple(masses), share, 1 / departures)

    def chance(self, waited_s: float, runs_s: Sequence[float]) -> float:
        """That an answer which is begun now still finds its client."""
        here = [(wait_s, mass) for wait_s, mass in self.masses if wait_s > waited_s]
        found = sum(mass * share_within(runs_s, wait_s - waited_s) for wait_s, mass in here)
        rest = self.tail + self.doubt
        return (found + rest) / (sum(mass for _, mass in here) + rest)

    def median_s(self) -> float | None:
        share = 1.0
        for wait_s, mass in self.masses:
            share -= mass
            if share <= 0.5 + 1e-12:
                return wait_s
        return None


def share_within(runs_s: Sequence[float], limit_s: float) -> float:
    return sum(ran_s <= limit_s for ran_s in runs_s) / len(runs_s)


def answers_per_second(runs_s: Sequence[float], limit_s: float) -> float:
    """Of agent work, where the agent is stopped at the limit."""
    return share_within(runs_s, limit_s) / fmean(min(ran_s, limit_s) for ran_s in runs_s)


@dataclass(slots=True)
class Queue:
    """Lines in a ring; a turn starts while that is worth nearly as much as a fresh one.

    knows_retries  whether a retry has the same words; those of our workloads have their own.
    """

    slots: int
    knows_retries: bool = False
    bound: int = 100
    lines: dict[str, dict[Sent, None]] = field(default_factory=dict[str, dict[Sent, None]])
    since_s: dict[str, float] = field(default_factory=dict[str, float])
    ring: dict[str, None] = field(default_factory=dict[str, None])
    ring_since_s: float = inf
    running: dict[str, Sent] = field(default_factory=dict[str, Sent])
    runs_s: deque[float] = field(default_factory=lambda: deque[float](maxlen=100))
    waits: deque[tuple[float, bool]] = field(
        default_factory=lambda: deque[tuple[float, bool]](maxlen=200)
    )
    unanswered: dict[tuple[str, int], None] = field(default_factory=dict[tuple[str, int], None])

    @property
    def mean_s(self) -> float:
        return fmean(self.runs_s) if self.runs_s else 0.0

    # The hooks.

    def submit(self, server: Server, sent: Sent) -> None:
        conversation = sent.conversation
        if conversation not in self.running and len(self.running) < self.slots:
            self._run(server, sent)
            return
        if len(self.lines.get(conversation, ())) >= self.bound:
            self._forgo(server, sent, FULL, self.mean_s or None)
            return
        eta_s = self._eta_s(server, sent) if self.runs_s else None
        again = self.knows_retries and (conversation, sent.user) in self.unanswered
        if again and eta_s is not None and eta_s > RETRY_SHARE * self._patience_s(server, sent):
            self._forgo(server, sent, EXPIRED, eta_s)
            return
        if not self.lines.get(conversation):
            self.since_s[conversation] = server.now_s
        self.lines.setdefault(conversation, {})[sent] = None
        if conversation not in self.running:
            self._join(server, conversation)

    def left(self, server: Server, sent: Sent) -> None:
        self._note_wait(server, sent)
        self._remember(sent)
        self._drop(server, sent)
        self._settle()

    def ended(self, server: Server, sent: Sent) -> None:
        del self.running[sent.conversation]
        ran_s = server.now_s - sent.began_s
        if sent.status == ANSWERED:
            self.unanswered.pop((sent.conversation, sent.user), None)
        if sent.status == ANSWERED or (sent.status == STOPPED and ran_s > self.mean_s):
            self.runs_s.append(ran_s)
        if sent.status == STOPPED:
            self._remember(sent)
        if self.lines.get(sent.conversation):
            self._join(server, sent.conversation)
        self._fill(server)
        self._settle()

    # Lines and ring.

    def _join(self, server: Server, conversation: str) -> None:
        if not self.ring:
            self.ring_since_s = server.now_s
        self.ring[conversation] = None

    def _drop(self, server: Server, sent: Sent) -> None:
        """Take it from its line; if it was the first, its conversation goes to the ring's end."""
        conversation, line = sent.conversation, self.lines[sent.conversation]
        was_first = next(iter(line)) is sent
        del line[sent]
        if conversation in self.ring and (was_first or not line):
            del self.ring[conversation]
            if line:
                self.ring[conversation] = None

    def _fill(self, server: Server) -> None:
        while self.ring and len(self.running) < self.slots:
            first = next(iter(self.lines[next(iter(self.ring))]))
            self._note_wait(server, first)
            if self._is_worth_a_start(server, first):
                del self.ring[first.conversation]
                del self.lines[first.conversation][first]
                self._run(server, first)
            else:
                self._forgo(server, first, EXPIRED, self.mean_s)
                self._drop(server, first)

    def _run(self, server: Server, sent: Sent) -> None:
        self.running[sent.conversation] = sent
        server.start(sent)

    def _forgo(self, server: Server, sent: Sent, status: int, hint_s: float | None) -> None:
        self._remember(sent)
        server.refuse(sent, status, hint_s)

    def _settle(self) -> None:
        if not self.running and not any(self.lines.values()):
            self.unanswered.clear()

    # What is learned.

    def _remember(self, sent: Sent) -> None:
        self.unanswered[(sent.conversation, sent.user)] = None
        if len(self.unanswered) > 1_000:
            del self.unanswered[next(iter(self.unanswered))]

    def _note_wait(self, server: Server, sent: Sent) -> None:
        if sent.deadline_s == inf:
            self.waits.append((server.now_s - sent.sent_s, sent.status == LEFT))

    # What is decided.

    def _is_worth_a_start(self, server: Server, sent: Sent) -> bool:
        if not self.runs_s:
            return True
        waited_s = server.now_s - sent.sent_s
        if sent.deadline_s < inf:
            fresh = answers_per_second(self.runs_s, sent.deadline_s - sent.sent_s)
            left_s = sent.deadline_s - server.now_s
            return left_s > 0 and answers_per_second(self.runs_s, left_s) >= GOOD_ENOUGH * fresh
        if stay := Stay.of(self.waits):
            chance = stay.chance(waited_s, self.runs_s)
            return chance > 0 and chance >= GOOD_ENOUGH * stay.chance(0.0, self.runs_s)
        return not self._is_overloaded(server, sent) or waited_s < UNTOLD_M * self.mean_s

    def _is_overloaded(self, server: Server, sent: Sent) -> bool:
        limit_s = STANDING_M * self.mean_s
        ring_s = server.now_s - self.ring_since_s if self.ring else 0.0
        busy = self.lines.get(sent.conversation)
        line_s = server.now_s - self.since_s[sent.conversation] if busy else 0.0
        return max(ring_s, line_s) > limit_s

    def _patience_s(self, server: Server, sent: Sent) -> float:
        if sent.deadline_s < inf:
            return sent.deadline_s - sent.sent_s
        stay = Stay.of(self.waits)
        if stay and (median_s := stay.median_s()) is not None:
            return median_s
        return UNTOLD_M * self.mean_s if self._is_overloaded(server, sent) else inf

    def _eta_s(self, server: Server, sent: Sent) -> float:
        conversation, mean_s = sent.conversation, self.mean_s
        before = len(self.lines.get(conversation, ()))
        holder, rest_s = self.running.get(conversation), 0.0
        if holder:
            rest_s = server.service.rest_s(server.now_s - holder.began_s) or 0.0
            rest_s = min(rest_s, holder.deadline_s - server.now_s)
        others, met = 0 if holder else 1, False
        for other in self.ring:
            met = met or other == conversation
            if other != conversation:
                # Once in each round: behind its own place in the ring one round fewer.
                others += min(len(self.lines[other]), before if met else before + 1)
        return rest_s + before * mean_s + others * mean_s / self.slots
