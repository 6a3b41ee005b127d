"""What a streamed piece costs: the CPU time of a streamed turn less that of the same, plain.

16 turns at once, 100 pieces of 10 to 20 characters each, 20 ms apart. The peers
write the same event for a piece, made in the same way.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from loadtests.bench.candidates import (
    FASTAPI,
    MEMORY,
    QUART,
    RAW_HYPERCORN,
    RAW_UVICORN,
    runner,
    runner_on_uvicorn,
    serving,
)
from loadtests.bench.client import request
from loadtests.bench.cost import CONNECTIONS, Cost, cost, interleaved
from loadtests.bench.figures import ratios, show, show_micros, title
from loadtests.servers import Served

PIECES = 100
AT_ONCE = f"strategy.max_running={CONNECTIONS}"
PEERS = {
    "raw ASGI on Hypercorn": RAW_HYPERCORN,
    "raw ASGI on uvicorn": RAW_UVICORN,
    "Quart": QUART,
    "FastAPI": FASTAPI,
}
RUNNERS = {
    "runner": runner("speaker", MEMORY, AT_ONCE),
    "runner on uvicorn": runner_on_uvicorn("speaker", AT_ONCE),
}


def measure(quick: bool) -> None:
    rounds, pause_s = (2, 0.005) if quick else (7, 0.02)
    with serving(PEERS | RUNNERS) as served:
        asks: dict[str, Callable[[int], Cost]] = {}
        for name, each in served.items():
            asks[f"{name}, streamed"] = _asking(each, name in RUNNERS, pause_s, streamed=True)
            asks[f"{name}, plain"] = _asking(each, name in RUNNERS, pause_s, streamed=False)
        costs = interleaved(asks, rounds)
    piece = {
        name: _of_a_piece(costs[f"{name}, streamed"], costs[f"{name}, plain"]) for name in served
    }
    title(f"CPU time of the server for a piece of a stream, {1000 * pause_s:g} ms apart", rounds)
    show("runner / Quart on Hypercorn", ratios(piece["runner"], piece["Quart"]), "aim 1.0")
    show(
        "runner on uvicorn / FastAPI on uvicorn",
        ratios(piece["runner on uvicorn"], piece["FastAPI"]),
        "aim 1.0",
    )
    for name in RUNNERS:
        events = _events(costs[f"{name}, streamed"])
        show(f"{name}: events for each piece", events, "(less than 1 where some were joined)")
    show_micros("CPU time of a piece", piece)


def _asking(
    served: Served, is_runner: bool, pause_s: float, *, streamed: bool
) -> Callable[[int], Cost]:
    peers_path = "/stream" if streamed else "/speak"
    path = "/chat" if is_runner else peers_path

    def ask(number: int) -> Cost:
        message = f"{PIECES} {pause_s}"
        names = [f"round{number}-{streamed}-{each}" for each in range(CONNECTIONS)]
        return cost(served, [[request(message, name, path, streamed)] for name in names])

    return ask


def _of_a_piece(streamed: list[Cost], plain: list[Cost]) -> list[float]:
    pairs = zip(streamed, plain, strict=True)
    return [(one.cpu_s - other.cpu_s) / PIECES for one, other in pairs]


def _events(streamed: list[Cost]) -> list[float]:
    return [
        statistics.mean(client.answer.count(b"event: delta") for client in each.clients) / PIECES
        for each in streamed
    ]
