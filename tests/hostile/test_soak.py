"""A soak: honest clients beside hostile ones, for half a minute, and for `make soak` ten.

`SOAK_S=600 pytest -s -m slow tests/hostile/test_soak.py` prints what was seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from runner.store.database import READERS
from tests.support.caller import Caller
from tests.support.client import until
from tests.support.server import ROOT, Knobs, Server

SOAK_S = float(os.environ.get("SOAK_S", "30"))
ALONE_S = min(SOAK_S / 4, 60.0)
TURN_S = 0.3
REST_S = 0.2
"""What an honest client waits between two turns, and how long its agent takes."""

BOUNDED: Knobs = {
    "server__tokens": ["ann:a-token", "bob:b-token", "eve:e-token"],
    "server__header_timeout_s": 2.0,
    "server__body_timeout_s": 2.0,
    "server__resume_turns": 200,
    "store__keep_turns": 200,
}
"""Caches that are full soon, so that memory has a base to come back to."""

READERS_MAY_COME = 2 * READERS
"""The store keeps connections for its next readers, with two files each."""

MEMORY_SLACK = 24 * 2**20
"""For what the allocator does not give back."""


@dataclass(slots=True)
class Honest:
    """What honest clients saw: seconds for each turn, and every answer that was not a 200."""

    took_s: list[float] = field(default_factory=list[float])
    others: list[str] = field(default_factory=list[str])

    def talk(self, caller: Caller, conversation: str, until_s: float) -> None:
        while time.monotonic() < until_s:
            began = time.monotonic()
            answer = caller.chat(f"sleep {TURN_S}", conversation)
            self.took_s.append(time.monotonic() - began)
            if answer.status != 200:
                self.others.append(f"{answer.status} {answer.body[:200]!r}")
            time.sleep(REST_S)


def honest_for(server: Server, seconds: float) -> Honest:
    """Two callers with two conversations each."""
    seen, until_s = Honest(), time.monotonic() + seconds
    clients = [
        threading.Thread(target=seen.talk, args=(Caller(server, token), conversation, until_s))
        for token in ("a-token", "b-token")
        for conversation in ("one", "two")
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return seen


@contextmanager
def hostile_clients(server: Server, seconds: float) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.support.hostile"]
    command += [str(server.port), str(seconds), "e-token"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        try:
            yield
            done, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    print("\nhostile:", done.strip())
    assert set(json.loads(done).values()) != {0}


@dataclass(frozen=True, slots=True)
class Held:
    """What the server's process holds."""

    memory: int
    descriptors: int
    threads: int

    @classmethod
    def by(cls, server: Server) -> Held:
        process = server.process
        return cls(process.memory_info().rss, process.num_fds(), process.num_threads())


def at_rest(server: Server) -> Held:
    """What it holds when nothing waits or runs, and the last connection has gone."""
    until(lambda: not busy(server), "nothing waits and nothing runs", 60.0)
    until(lambda: not server.process.net_connections()[1:], "no connection is left", 30.0)
    return Held.by(server)


def busy(server: Server) -> bool:
    health = Caller(server, "a-token")("GET", "/health").json
    return bool(health["queue_depth"] or health["processing"])


def test_honest_clients_are_served_beside_hostile_ones_and_nothing_is_left_over(
    folder: Path,
) -> None:
    with Server(folder, **BOUNDED) as server:
        with hostile_clients(server, ALONE_S):  # Fills the caches.
            honest_for(server, ALONE_S)
        before = at_rest(server)
        alone = honest_for(server, ALONE_S)
        with hostile_clients(server, SOAK_S):
            beside = honest_for(server, SOAK_S)
        after = at_rest(server)
        tracebacks = [line for line in server.logged if "Traceback" in json.dumps(line)]
        assert server.stop() == 0

    ratio = median(beside.took_s) / median(alone.took_s)
    tail = quantiles(beside.took_s, n=20)[-1] / quantiles(alone.took_s, n=20)[-1]
    print(f"honest: {len(beside.took_s)} turns; beside / alone: median {ratio:.2f}, p95 {tail:.2f}")
    print(f"held before: {before}, after: {after}")
    assert not alone.others + beside.others
    # A ratio of one run: the agent's own time is most of it, so a slow machine is on both sides.
    assert ratio <= 2
    assert tail <= 2
    assert not tracebacks
    assert after.descriptors <= before.descriptors + READERS_MAY_COME
    assert after.threads <= before.threads + 1
    assert after.memory <= before.memory + MEMORY_SLACK
