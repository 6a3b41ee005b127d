"""The policy of `queue` in the second simulator, from its rules in words.

Left out: that a retry is forgotten after 600 s (no run is so long), and that the curve of
patience is redrawn only after eight waits: the first simulator agrees with one that is always new.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from math import inf, sqrt
from statistics import fmean

from tests.evidence.second_learned import UNTOLD_RUNS, Stay, Taken, answers_per_second
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
"""A waiting turn starts while its worth is so large a share of a fresh one's."""

LOST = 0.5
"""Below this share it does not start, even where nobody fresher waits."""

RETRY_SHARE = 0.5
MARGIN = 1 / 32


@dataclass(slots=True)
class Queue:
    """Lines in a ring; a turn starts while that is worth nearly as much as a fresh one.

    met  runs that were taken from the ring while this conversation stood in it.
    """

    slots: int
    bound: int = 100
    lines: dict[str, dict[Sent, None]] = field(default_factory=dict[str, dict[Sent, None]])
    ring: dict[str, None] = field(default_factory=dict[str, None])
    running: dict[str, Sent] = field(default_factory=dict[str, Sent])
    of_line: dict[str, Taken] = field(default_factory=dict[str, Taken])
    of_ring: Taken = field(default_factory=Taken)
    met: Counter[str] = field(default_factory=Counter[str])
    came_at: dict[Sent, tuple[int, int]] = field(default_factory=dict[Sent, tuple[int, int]])
    latest_s: deque[float] = field(default_factory=lambda: deque[float](maxlen=100))
    runs_s: list[float] = field(default_factory=list[float])
    waits: deque[tuple[float, bool]] = field(
        default_factory=lambda: deque[tuple[float, bool]](maxlen=100)
    )
    stay: Stay | None = None
    sent_away: dict[tuple[str, int], None] = field(default_factory=dict[tuple[str, int], None])

    @property
    def mean_s(self) -> float:
        return fmean(self.runs_s) if self.runs_s else 0.0

    # The hooks.

    def submit(self, server: Server, sent: Sent) -> None:
        conversation = sent.conversation
        if conversation not in self.running and len(self.running) < self.slots:
            self._run(server, sent)
            return
        line = self.lines.setdefault(conversation, {})
        if len(line) >= self.bound:
            self._forgo(server, sent, FULL, self.mean_s or None)
            return
        of_line = self.of_line.setdefault(conversation, Taken())
        if (conversation, sent.user) in self.sent_away and self.runs_s:
            eta_s, mean_s = self._eta_s(server, sent), self.mean_s
            if eta_s > max(RETRY_SHARE * (self._patience_s(sent) - mean_s), mean_s):
                self._forgo(server, sent, EXPIRED, eta_s)
                return
        line[sent] = None
        for taken in (of_line, self.of_ring):
            taken.at_newest = taken.count
        self.came_at[sent] = (of_line.count, self.met[conversation])
        if conversation not in self.running:
            self.ring[conversation] = None

    def left(self, server: Server, sent: Sent) -> None:
        self._note_wait(server, sent)
        self._remember(sent)
        self._drop(sent)
        self._settle()

    def ended(self, server: Server, sent: Sent) -> None:
        del self.running[sent.conversation]
        ran_s = server.now_s - sent.began_s
        if sent.status == ANSWERED:
            self.sent_away.pop((sent.conversation, sent.user), None)
        if sent.status == ANSWERED or (sent.status == STOPPED and ran_s > self.mean_s):
            self.latest_s.append(ran_s)
            self.runs_s = sorted(self.latest_s)
        if sent.status == STOPPED:
            self._remember(sent)
        if self.lines.get(sent.conversation):
            self.ring[sent.conversation] = None
        self._fill(server)
        self._settle()

    # Lines and ring.

    def _drop(self, sent: Sent) -> None:
        """Take it from its line. Its conversation keeps its place while others wait in it."""
        conversation, line = sent.conversation, self.lines[sent.conversation]
        del line[sent], self.came_at[sent]
        if not line:
            self._quit(conversation)
            of_line = self.of_line[conversation]
            of_line.at_empty = of_line.count

    def _quit(self, conversation: str) -> None:
        self.ring.pop(conversation, None)
        if not self.ring:
            self.of_ring.at_empty = self.of_ring.count

    def _fill(self, server: Server) -> None:
        while self.ring and len(self.running) < self.slots:
            conversation = next(iter(self.ring))
            first = next(iter(self.lines[conversation]))
            if self._is_worth_a_start(server, first):
                self.of_line[conversation].count += 1
                self.of_ring.count += 1
                self.met.update(self.ring.keys())
                self._run(server, first)
                self._quit(conversation)
            else:
                self._forgo(server, first, EXPIRED, self.mean_s or None)
            self._note_wait(server, first)
            self._drop(first)

    def _run(self, server: Server, sent: Sent) -> None:
        self.running[sent.conversation] = sent
        server.start(sent)

    def _forgo(self, server: Server, sent: Sent, status: int, hint_s: float | None) -> None:
        self._remember(sent)
        server.refuse(sent, status, hint_s)

    def _settle(self) -> None:
        if not self.running and not self.came_at:
            self.sent_away.clear()

    # What is learned.

    def _remember(self, sent: Sent) -> None:
        self.sent_away[(sent.conversation, sent.user)] = None
        if len(self.sent_away) > 1_000:
            del self.sent_away[next(iter(self.sent_away))]

    def _note_wait(self, server: Server, sent: Sent) -> None:
        if sent.deadline_s < inf:
            return
        self.waits.append((server.now_s - sent.sent_s, sent.status == LEFT))
        self.stay = Stay.of(self.waits)

    # What is decided.

    def _is_worth_a_start(self, server: Server, sent: Sent) -> bool:
        left_s = sent.deadline_s - server.now_s
        if not self.runs_s:
            return left_s > 0
        enough = GOOD_ENOUGH * (1 - 0.5 / sqrt(len(self.runs_s)))
        if sent.deadline_s < inf:
            fresh = answers_per_second(self.runs_s, sent.deadline_s - sent.sent_s)
            worth = answers_per_second(self.runs_s, max(left_s - self.mean_s * MARGIN, 0.0))
            return worth > 0 and worth >= enough * fresh
        if stay := self.stay:
            fresh, worth = (
                stay.chance(waited_s, self.runs_s) for waited_s in (0.0, server.now_s - sent.sent_s)
            )
            if worth >= enough * fresh:
                return True
            newest = stay.chance(server.now_s - self._newest(sent).sent_s, self.runs_s)
            return newest < enough * fresh and worth >= LOST * fresh
        came_at, of_line = self.came_at[sent], self.of_line[sent.conversation]
        seen = of_line.count - came_at[0], self.met[sent.conversation] - came_at[1]
        return not (of_line.is_past(seen[0], 1) or self.of_ring.is_past(seen[1], self.slots))

    def _newest(self, sent: Sent) -> Sent:
        """That waits, in the same line, or anywhere where the ring has given a run."""
        if self.of_ring.count > self.of_ring.at_empty:
            return next(reversed(self.came_at))
        return next(reversed(self.lines[sent.conversation]))

    def _patience_s(self, sent: Sent) -> float:
        if sent.deadline_s < inf:
            return sent.deadline_s - sent.sent_s
        if self.stay:
            return self.stay.median_s()
        stands = self.of_line[sent.conversation].stands(1) or self.of_ring.stands(self.slots)
        return UNTOLD_RUNS * self.mean_s if stands else inf

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
