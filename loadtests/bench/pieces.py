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
from loadtests.runs.servers import Served

AT_ONCE = f"strategy.max_running={CONNECTIONS}"
PEERS = {
    "raw ASGI on Hypercorn": RAW_HYPERCORN,
    "raw ASGI on uvicorn": RAW_UVICORN,
    "Quart on Hypercorn": QUART,
    "FastAPI on uvicorn": FASTAPI,
}
RUNNERS = {
    "runner": runner("speaker", MEMORY, AT_ONCE),
    "runner on uvicorn": runner_on_uvicorn("speaker", AT_ONCE),
}
STREAMED = ", streamed"


def measure(quick: bool) -> None:
    rounds, pieces, pause_s = (2, 40, 0.005) if quick else (5, 100, 0.02)
    message = f"{pieces} {pause_s}"
    with serving(PEERS | RUNNERS) as all_served:
        plain = {name: _asking(each, name, message, False) for name, each in all_served.items()}
        streamed = {name: _asking(each, name, message, True) for name, each in all_served.items()}
        ways = {f"{name}{STREAMED}": ask for name, ask in streamed.items()} | plain
        costs = interleaved(dict(sorted(ways.items())), rounds)
    title(f"CPU time of the server for a piece of a stream, {1000 * pause_s:g} ms apart", rounds)
    _show({name: _of_a_piece(name, costs, pieces) for name in all_served})
    for name in RUNNERS:
        events = [_events(each) / pieces for each in costs[name + STREAMED]]
        show(f"{name}: events for each piece", events, "(less than 1 where some were joined)")


def _asking(served: Served, name: str, message: str, streamed: bool) -> Callable[[int], Cost]:
    peers_path = "/stream" if streamed else "/speak"
    path = "/chat" if name in RUNNERS else peers_path

    def ask(number: int) -> Cost:
        names = [f"round{number}-{streamed}-{each}" for each in range(CONNECTIONS)]
        return cost(served, [[request(message, name, path, streamed)] for name in names])

    return ask


def _of_a_piece(name: str, costs: dict[str, list[Cost]], pieces: int) -> list[float]:
    pairs = zip(costs[name + STREAMED], costs[name], strict=True)
    return [(streamed.cpu_s - plain.cpu_s) / pieces for streamed, plain in pairs]


def _show(piece: dict[str, list[float]]) -> None:
    for one, other in (
        ("runner", "Quart on Hypercorn"),
        ("runner on uvicorn", "FastAPI on uvicorn"),
    ):
        show(f"{one} / {other}", ratios(piece[one], piece[other]), "aim 1.0")
    show_micros("CPU time of a piece", piece)


def _events(streamed: Cost) -> float:
    """The pieces that a client was sent."""
    return statistics.mean(client.answer.count(b"event: delta") for client in streamed.clients)
