"""What a turn costs: CPU time and turns per second, at the start and after many turns.

16 keep-alive connections, a conversation each. The servers "after" have served
20,000 turns over 16 conversations, and are measured in those; the others are given
16 new conversations in each round, so that they stay at the start. All are in the
same interleaved run, so growth is a ratio of neighbours and no drift.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from loadtests.bench.candidates import (
    FASTAPI,
    QUART,
    RAW_HYPERCORN,
    RAW_UVICORN,
    runner,
    runner_on_uvicorn,
    serving,
    sqlite,
)
from loadtests.bench.client import drive, request
from loadtests.bench.cost import CONNECTIONS, Cost, cost, interleaved
from loadtests.bench.figures import ratios, show, show_micros, title
from loadtests.runs.servers import Served

AGENT = "ok_with_history"
START = {
    "raw ASGI on Hypercorn": RAW_HYPERCORN,
    "raw ASGI on uvicorn": RAW_UVICORN,
    "Quart": QUART,
    "FastAPI": FASTAPI,
    "memory": runner(AGENT),
    "uvicorn": runner_on_uvicorn(AGENT),
    "SQLite": runner(AGENT, sqlite("start")),
}
AFTER = {
    "memory, after": runner(AGENT),
    "uvicorn, after": runner_on_uvicorn(AGENT),
    "SQLite, after": runner(AGENT, sqlite("after")),
}

CPU = (
    ("runner / bare Quart, Hypercorn", "memory", "Quart", "aim 1.0"),
    ("    LATER", "memory, after", "Quart", "aim 1.0"),
    ("runner on uvicorn / FastAPI, uvicorn, lock", "uvicorn", "FastAPI", "aim 1.0"),
    ("    LATER", "uvicorn, after", "FastAPI", "aim 1.0"),
    ("growth: runner LATER / at the start", "memory, after", "memory", "aim 1.05"),
    ("growth: runner on uvicorn LATER / at the start", "uvicorn, after", "uvicorn", "aim 1.05"),
    ("growth: runner (SQLite) LATER / at the start", "SQLite, after", "SQLite", "aim 1.05"),
    ("runner (SQLite) / runner (memory)", "SQLite", "memory", ""),
    ("    LATER", "SQLite, after", "memory, after", ""),
    ("runner / raw ASGI, Hypercorn", "memory", "raw ASGI on Hypercorn", ""),
    ("bare Quart / raw ASGI, Hypercorn", "Quart", "raw ASGI on Hypercorn", ""),
    ("runner on uvicorn / raw ASGI, uvicorn", "uvicorn", "raw ASGI on uvicorn", ""),
    ("FastAPI, lock / raw ASGI, uvicorn", "FastAPI", "raw ASGI on uvicorn", ""),
)
"""What is compared with what; the store is in memory where nothing is said."""

RATES = (
    ("runner / bare Quart, Hypercorn", "memory", "Quart", "at least 0.7, aim 0.9"),
    ("runner (SQLite) / runner (memory)", "SQLite", "memory", ""),
    ("runner / FastAPI, uvicorn, lock", "memory", "FastAPI", ""),
    ("runner on uvicorn / FastAPI, uvicorn, lock", "uvicorn", "FastAPI", ""),
    ("bare Quart / FastAPI, uvicorn, lock", "Quart", "FastAPI", ""),
)


def measure(quick: bool) -> None:
    rounds, turns, before = (5, 240, 1_600) if quick else (9, 480, 20_000)
    with serving(START | AFTER) as served:
        asyncio.run(_fill([served[name] for name in AFTER], before))
        candidates = {name: _asking(each, turns, name in AFTER) for name, each in served.items()}
        costs = interleaved(candidates, rounds)
    title("CPU time of the server for a turn", rounds)
    _show_cpu({name: [each.cpu_s for each in list_] for name, list_ in costs.items()}, before)
    title("Turns per second", rounds)
    _show_rates({name: [1 / each.wall_s for each in list_] for name, list_ in costs.items()})


async def _fill(served: Sequence[Served], turns: int) -> None:
    each = _requests("after", turns)
    await asyncio.gather(*(drive(one.port, each) for one in served))


def _asking(served: Served, turns: int, after: bool) -> Callable[[int], Cost]:
    def ask(number: int) -> Cost:
        return cost(served, _requests("after" if after else f"round{number}", turns))

    return ask


def _requests(name: str, turns: int) -> list[list[bytes]]:
    each = turns // CONNECTIONS
    return [[request("hello", f"{name}-{number}")] * each for number in range(CONNECTIONS)]


def _show_cpu(cpu: dict[str, list[float]], turns: int) -> None:
    later = f"after {turns:,} turns"
    for what, one, other, aim in CPU:
        show(what.replace("LATER", later), ratios(cpu[one], cpu[other]), aim)
    show_micros("CPU time of a turn", cpu)


def _show_rates(rates: dict[str, list[float]]) -> None:
    for what, one, other, aim in RATES:
        show(what, ratios(rates[one], rates[other]), aim)
