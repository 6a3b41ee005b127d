"""The policies of the second simulator, from their definitions in words."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import inf

from loadtests.workloads.workload import Workload
from tests.evidence.second_queue import Queue
from tests.evidence.second_simulator import BUSY, EXPIRED, FULL, Outcome, Policy, Sent, Server


@dataclass(slots=True)
class Lock:
    """A line for each conversation, first in, first out; at most `bound` wait in each.

    waits    the share of its told time that a turn may wait.
    checks   whether a turn starts only while what is left of its time covers the mean.
    """

    bound: float = inf
    waits: float = 1.0
    checks: bool = False
    busy: set[str] = field(default_factory=set[str])
    lines: dict[str, deque[Sent]] = field(default_factory=dict[str, deque[Sent]])
    waiting: Counter[str] = field(default_factory=Counter[str])

    def submit(self, server: Server, sent: Sent) -> None:
        conversation = sent.conversation
        if conversation not in self.busy:
            self.busy.add(conversation)
            server.start(sent)
        elif self.waiting[conversation] >= self.bound:
            server.refuse(sent, FULL)
        else:
            self.waiting[conversation] += 1
            self.lines.setdefault(conversation, deque()).append(sent)
            if self.waits < 1.0 and sent.deadline_s < inf:
                until_s = sent.sent_s + self.waits * (sent.deadline_s - sent.sent_s)
                server.at(until_s, lambda: self._waited(server, sent))

    def _waited(self, server: Server, sent: Sent) -> None:
        if sent.state == "waiting":
            server.expire(sent)

    def left(self, server: Server, sent: Sent) -> None:
        self.waiting[sent.conversation] -= 1

    def ended(self, server: Server, sent: Sent) -> None:
        line = self.lines.get(sent.conversation)
        while line:
            following = line.popleft()
            if following.state != "waiting":
                continue
            self.waiting[sent.conversation] -= 1
            if not self.checks or following.deadline_s - server.now_s >= (
                server.service.mean_s or 0.0
            ):
                server.start(following)
                return
            server.refuse(following, EXPIRED)
        self.busy.discard(sent.conversation)


@dataclass(slots=True)
class Reject:
    """Refuses while the conversation runs, and says how long that is expected to take."""

    running: dict[str, Sent] = field(default_factory=dict[str, Sent])

    def submit(self, server: Server, sent: Sent) -> None:
        holder = self.running.get(sent.conversation)
        if holder:
            rest_s = server.service.rest_s(server.now_s - holder.began_s)
            server.refuse(sent, BUSY, server.longest_s if rest_s is None else rest_s)
        else:
            self.running[sent.conversation] = sent
            server.start(sent)

    def left(self, server: Server, sent: Sent) -> None:
        raise AssertionError("nothing waits")

    def ended(self, server: Server, sent: Sent) -> None:
        del self.running[sent.conversation]


@dataclass(slots=True)
class Fifo:
    """One line for all, at most `bound` long: its first one whose conversation is free starts
    whenever one of the agent's places is."""

    slots: int
    bound: float = inf
    busy: set[str] = field(default_factory=set[str])
    line: dict[Sent, None] = field(default_factory=dict[Sent, None])

    def submit(self, server: Server, sent: Sent) -> None:
        free = len(self.busy) < self.slots and sent.conversation not in self.busy
        if not free and len(self.line) >= self.bound:
            server.refuse(sent, FULL)
            return
        self.line[sent] = None
        self._start(server)

    def left(self, server: Server, sent: Sent) -> None:
        del self.line[sent]

    def ended(self, server: Server, sent: Sent) -> None:
        self.busy.remove(sent.conversation)
        self._start(server)

    def _start(self, server: Server) -> None:
        for sent in list(self.line) if len(self.busy) < self.slots else []:
            if len(self.busy) < self.slots and sent.conversation not in self.busy:
                del self.line[sent]
                self.busy.add(sent.conversation)
                server.start(sent)


def made(name: str, workload: Workload) -> Policy:
    """The policy of this name; the number at its end is its bound. Raises KeyError."""
    kind, _, last = name.rpartition("-")
    kind, bound = (kind, float(last)) if last.isdigit() else (name, inf)
    policies: dict[str, Callable[[], Policy]] = {
        "lock": partial(Lock, bound),
        "lock-half": partial(Lock, waits=0.5),
        "lock-check": partial(Lock, checks=True),
        "reject": Reject,
        "queue": partial(Queue, workload.max_running),
        "fifo": partial(Fifo, workload.max_running, bound),
        "global-queue": partial(Fifo, workload.max_running),
    }
    return policies[kind]()


def simulate(name: str, workload: Workload) -> Outcome:
    """What comes of this workload under the policy of this name. Raises KeyError."""
    return Server(workload, made(name, workload)).run()
