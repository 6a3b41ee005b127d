"""How long a turn takes in a long conversation: 20,000 messages against 20.

One client, alternately a turn in the long conversation and one in a short, of the
same server. An agent that takes no history, and one that reads its last four messages.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtests.bench.candidates import MEMORY, runner, serving, sqlite
from loadtests.bench.client import drive, request
from loadtests.bench.cost import CONNECTIONS
from loadtests.bench.figures import show, title
from loadtests.runs.servers import Served
from runner.store import make_store
from runner.store.base import Record

SHORT = 10
"""Turns, which is 20 messages."""

AGENTS = {"ok": "agent without history", "recent": "agent that reads history[-4:]"}
STORES = ("memory", "SQLite")


def measure(quick: bool) -> None:
    rounds, turns, long = (2, 40, 1_000) if quick else (7, 100, 10_000)
    title(f"Time of a turn, at {2 * long:,} messages / at {2 * SHORT}", rounds)
    candidates = {
        (store, agent): runner(agent, sqlite(agent) if store == "SQLite" else MEMORY)
        for store in STORES
        for agent in AGENTS
    }
    with TemporaryDirectory() as folder:
        for agent in AGENTS:
            asyncio.run(_fill_database(Path(folder) / f"{agent}.db", long))
        named = {f"{store} {agent}": words for (store, agent), words in candidates.items()}
        with serving(named, Path(folder)) as served:
            asyncio.run(_fill([served[f"memory {agent}"] for agent in AGENTS], long))
            ratios: dict[str, list[float]] = {name: [] for name in served}
            for number in range(rounds):
                for name, each in served.items():
                    ratios[name].append(asyncio.run(_ratio(each, turns, number)))
    for store, agent in candidates:
        show(f"{store}, {AGENTS[agent]}", ratios[f"{store} {agent}"], "aim 1.2")


async def _fill_database(path: Path, turns: int) -> None:
    store = make_store(f"sqlite:///{path}")
    await store.open()
    records = [Record(f"turn{number}", "long", "hello", "ok") for number in range(turns)]
    for first in range(0, turns, 500):  # One commit of the disk for those that come together.
        await asyncio.gather(*map(store.commit, records[first : first + 500]))
    await store.close()


async def _fill(served: list[Served], turns: int) -> None:
    each = [[request("hello", "long")] * (turns // CONNECTIONS)] * CONNECTIONS
    await asyncio.gather(*(drive(one.port, each) for one in served))


async def _ratio(served: Served, turns: int, number: int) -> float:
    """Median time of a turn in the long conversation, by that in short ones."""
    asked = list(_alternately(turns, number))
    (client,) = await drive(served.port, [[content for _, content in asked]])
    times: dict[str, list[float]] = {"": [], "long": [], "short": []}
    for (kind, _), time_s in zip(asked, client.times, strict=True):
        times[kind].append(time_s)
    return statistics.median(times["long"]) / statistics.median(times["short"])


def _alternately(turns: int, number: int) -> Iterator[tuple[str, bytes]]:
    """Requests of either kind. A short conversation is left after ten turns, to stay short."""
    long = request("hello", "long")
    for turn in range(turns):
        short = request("hello", f"short{number}-{turn // SHORT}")
        if turn % SHORT == 0:
            yield from [("", short)] * SHORT
        yield "short", short
        yield "long", long
