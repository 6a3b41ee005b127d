"""What a server's process spends on requests: CPU time and time on the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from loadtests.bench.client import Client, drive
from loadtests.runs.servers import Served

T = TypeVar("T")

CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one request, in seconds. `clients` are those that asked."""

    cpu_s: float
    wall_s: float
    clients: list[Client]


def cost(served: Served, requests: Sequence[Sequence[bytes]]) -> Cost:
    pid, number = served.process.pid, sum(map(len, requests))
    cpu_s, wall_s = cpu_time(pid), time.perf_counter()
    clients = asyncio.run(drive(served.port, requests))
    wall_s = time.perf_counter() - wall_s
    return Cost((cpu_time(pid) - cpu_s) / number, wall_s / number, clients)


def cpu_time(pid: int) -> float:
    """User and system time of a process so far, in seconds."""
    try:
        # Linux's clock of another process (clock_getcpuclockid): in ns, where /proc has 10 ms.
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, OverflowError):
        import psutil

        spent = psutil.Process(pid).cpu_times()
        return float(spent.user + spent.system)


def interleaved(candidates: Mapping[str, Callable[[int], T]], rounds: int) -> dict[str, list[T]]:
    """Each candidate once in every round, given the round's number. Round 0 warms up."""
    costs: dict[str, list[T]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, measure in candidates.items():
            found = measure(number)
            if number:
                costs[name].append(found)
    return costs
