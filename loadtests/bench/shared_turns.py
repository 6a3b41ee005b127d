"""Turns per second of 1, 2 and 4 processes that share a Postgres, beside one on SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from loadtests.bench.candidates import runner, serving, sqlite
from loadtests.bench.client import drive, request
from loadtests.bench.cost import CONNECTIONS, interleaved
from loadtests.bench.figures import ratios, show, title
from loadtests.runs import databases
from loadtests.runs.servers import Served

SLOTS = 2
"""Of each process."""
LONG_S = 0.1

SQLITE, ONE = "SQLite", "Postgres, 1 process"
COUNTS = {ONE: 1, "Postgres, 2 processes": 2, "Postgres, 4 processes": 4}


def started(server: str, stack: ExitStack) -> dict[str, Sequence[Served]]:
    """The candidates by name: on SQLite, and each number of processes on a database of its own."""
    # Without a bound, queue would drop what waits for long in one process.
    slots = f"strategy.max_running={SLOTS}", "strategy.max_wait_s=600"
    candidates = {SQLITE: runner("ok_after", sqlite("one"), *slots)}
    for name, count in COUNTS.items():
        store = stack.enter_context(databases.fresh(server))
        candidates |= {f"{name} {n}": runner("ok_after", store, *slots) for n in range(count)}
    served = stack.enter_context(serving(candidates))
    return {
        name: [each for key, each in served.items() if key.startswith(name)]
        for name in (SQLITE, *COUNTS)
    }


def measure(shared: dict[str, Sequence[Served]], quick: bool) -> None:
    for seconds, turns, words in (
        (0.0, 160 if quick else 320, "an agent that costs nothing"),
        (LONG_S, 32 if quick else 64, f"an agent that takes {1000 * LONG_S:g} ms"),
    ):
        rounds = (1 if seconds else 2) if quick else 5
        title(f"Turns/s, {words}, {SLOTS} slots a process", rounds)
        candidates = {name: _asking(served, seconds, turns) for name, served in shared.items()}
        rates = interleaved(candidates, rounds)
        for name in COUNTS:
            show(f"{name} / SQLite, 1 process", ratios(rates[name], rates[SQLITE]))
        for name, count in list(COUNTS.items())[1:]:
            aim = f"at most {count}" if seconds else ""
            show(f"{name} / {ONE}", ratios(rates[name], rates[ONE]), aim)


def _asking(served: Sequence[Served], seconds: float, turns: int) -> Callable[[int], float]:
    """Turns per second. The connections are spread over the processes, a conversation each."""

    def ask(number: int) -> float:
        asked = [
            [request(str(seconds), f"round{number}-{seconds}-{one}")] * (turns // CONNECTIONS)
            for one in range(CONNECTIONS)
        ]
        return turns / asyncio.run(_drive(served, asked))

    return ask


async def _drive(served: Sequence[Served], asked: Sequence[Sequence[bytes]]) -> float:
    """The seconds that it took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    parts = [asked[place :: len(served)] for place in range(len(served))]
    await asyncio.gather(
        *(drive(each.port, part) for each, part in zip(served, parts, strict=True))
    )
    return loop.time() - began_s
