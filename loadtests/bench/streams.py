"""Streamed turns against plain ones, in turns per second, and when the first piece arrives."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

from loadtests.bench.agents import speaker
from loadtests.bench.candidates import MEMORY, runner, serving
from loadtests.bench.client import request
from loadtests.bench.cost import CONNECTIONS, Cost, cost, interleaved
from loadtests.bench.figures import ratios, show, title
from loadtests.runs.servers import Served

PIECES = 10
FIRST_S = 0.02
FIRST = f"2 {FIRST_S}"
SERVER = runner("speaker", MEMORY, f"strategy.max_running={CONNECTIONS}")


def measure(quick: bool) -> None:
    rounds, turns = (2, 160) if quick else (5, 480)
    title("Streams", rounds)
    with serving({"runner": SERVER}) as all_served:
        served = all_served["runner"]
        for pause_s, aim in ((0.005, "at least 0.9"), (0.0, "(nothing but overhead)")):
            ways = {how: _asking(served, pause_s, turns, how == "streamed") for how in WAYS}
            costs = interleaved(ways, rounds)
            rates = {how: [1 / each.wall_s for each in found] for how, found in costs.items()}
            words = f"turns/s: streamed / plain, {PIECES} pieces, {1000 * pause_s:g} ms each"
            show(words, ratios(rates["streamed"], rates["plain"]), aim)
        _measure_first_piece(rounds, served.port)


WAYS = ("streamed", "plain")


def _asking(served: Served, pause_s: float, turns: int, streamed: bool) -> Callable[[int], Cost]:
    def ask(number: int) -> Cost:
        message, each = f"{PIECES} {pause_s}", turns // CONNECTIONS
        names = [f"round{number}-{connection}" for connection in range(CONNECTIONS)]
        return cost(served, [[request(message, name, streamed=streamed)] * each for name in names])

    return ask


def _measure_first_piece(rounds: int, port: int) -> None:
    """An agent that takes 20 ms to its first piece, through the server and alone."""
    found = [
        asyncio.run(_first_through_server(port, 20)) / asyncio.run(_first_alone(20))
        for _ in range(rounds)
    ]
    show(f"time to first piece ({1000 * FIRST_S:g} ms): server / agent alone", found)


async def _first_through_server(port: int, times: int) -> float:
    found: list[float] = []
    for number in range(times):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.perf_counter()
        writer.write(request(FIRST, f"first{number}", streamed=True))
        await reader.readuntil(b"event: delta")
        found.append(time.perf_counter() - began)
        await reader.readuntil(b"event: done")
        writer.close()
        await writer.wait_closed()
    return statistics.median(found)


async def _first_alone(times: int) -> float:
    found: list[float] = []
    for _ in range(times):
        pieces = speaker(FIRST)
        began = time.perf_counter()
        await anext(pieces)
        found.append(time.perf_counter() - began)
        async for _ in pieces:
            pass
    return statistics.median(found)
