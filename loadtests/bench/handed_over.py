"""From the commit of a turn to the call of the next one in its conversation, by another process.

A line of turns waits in one conversation of two processes. A listener hears of each commit as the
processes do, and the agent says when it was called; both read the machine's monotonic clock. The
ablation is the same without the trigger that tells the processes of a conversation that is free:
they find its next turn when they look by themselves, each second as the runner does, or each five
seconds as Procrastinate's own worker does.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.request import urlopen

import psycopg

from loadtests.bench.candidates import runner, serving
from loadtests.bench.client import drive, post
from loadtests.bench.figures import ratios, show, title
from loadtests.measures.figures import percentile
from loadtests.runs import databases
from loadtests.runs.servers import Served

PATIENCE_S = 120.0
ROOM = "strategy.max_waiting_per_conversation=1000"

TRIGGER, SECOND, FIVE = "the trigger", "a look each second", "a look each 5 s"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes on one database."""

    store: str
    served: Sequence[Served]


@dataclass(frozen=True, slots=True)
class HandOver:
    """Of one turn to the next, in seconds: since its commit, and since its agent ended.

    elsewhere  whether the next one ran in the other process.
    """

    since_commit_s: float
    since_end_s: float
    elsewhere: bool


def measure(server: str, quick: bool) -> None:
    rounds, turns = (1, 80) if quick else (5, 200)
    lengths = {TRIGGER: turns, SECOND: 4, FIVE: 2 if quick else 3}
    title("From a commit to the next turn of its conversation, 2 processes", rounds)
    found: dict[str, list[list[HandOver]]] = {name: [] for name in lengths}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        pairs = _pairs(server, stack, folder)
        asyncio.run(_round(pairs, {TRIGGER: 2}, folder, 0))  # To warm up.
        for number in range(1, rounds + 1):
            for name, each in asyncio.run(_round(pairs, lengths, folder, number)).items():
                found[name].append(each)
    _show(found)


def _pairs(server: str, stack: ExitStack, folder: Path) -> dict[str, Pair]:
    stores = {n: stack.enter_context(databases.fresh(server)) for n in (TRIGGER, SECOND, FIVE)}
    words = {name: runner("dated", store, ROOM) for name, store in stores.items()}
    words[FIVE] = ("loadtests.bench.looking_rarely", *words[FIVE][1:])
    candidates = {f"{name} {n}": words[name] for name in stores for n in (1, 2)}
    served = stack.enter_context(serving(candidates, folder))
    for name in (SECOND, FIVE):
        with psycopg.connect(stores[name], autocommit=True) as connection:
            connection.execute("DROP TRIGGER turnline_job_went ON procrastinate_jobs")
    return {
        name: Pair(store, [served[f"{name} {n}"] for n in (1, 2)]) for name, store in stores.items()
    }


async def _round(
    pairs: Mapping[str, Pair], lengths: Mapping[str, int], folder: Path, number: int
) -> dict[str, list[HandOver]]:
    """All at the same time: those without the trigger rest for nearly all of it."""
    found = await asyncio.gather(
        *(
            _line(pairs[name], turns, folder / f"{place}-{number}")
            for place, (name, turns) in enumerate(lengths.items())
        )
    )
    return dict(zip(lengths, found, strict=True))


async def _line(pair: Pair, turns: int, gate: Path) -> list[HandOver]:
    """The hand-overs of so many turns, all of which are in line when the gate is opened."""
    conversation = gate.name
    with _listening(pair.store) as commits:
        ids = []
        for number in range(turns + 1):
            message = str(gate) if not number else "next"
            document = {"message": message, "conversation_id": conversation}
            asked = post("/chat", document, prefer="respond-async")
            ids.append(await _accepted(pair.served[number % 2], asked))
        await asyncio.to_thread(gate.touch)
        await asyncio.to_thread(commits.wait, ids)
    said = await asyncio.to_thread(_said, pair.served[0], conversation)
    return [
        HandOver(called_s - commits.at_s[turn], called_s - ended_s, process != before)
        for turn, ((before, _, ended_s), (process, called_s, _)) in zip(
            ids, pairwise(said), strict=False
        )
    ]


async def _accepted(served: Served, asked: bytes) -> str:
    """The id of the turn."""
    (client,) = await drive(served.port, [[asked]])
    return str(json.loads(client.answer.partition(b"\r\n\r\n")[2])["turn_id"])


def _said(served: Served, conversation: str) -> list[tuple[int, float, float]]:
    """Process, call and end of each turn, in order."""
    url = f"http://127.0.0.1:{served.port}/history?count=0&conversation_id={conversation}"
    with urlopen(url) as response:
        messages = json.loads(response.read())["messages"]
    return [tuple(json.loads(each["content"])) for each in messages if each["role"] == "assistant"]


class _Commits:
    """When the turns' replies were kept, by their ids, as every process hears it."""

    def __init__(self) -> None:
        self.at_s: dict[str, float] = {}
        self._news = threading.Condition()

    def hear(self, payload: str) -> None:
        at_s, message = time.monotonic(), json.loads(payload)
        if message["k"] == "ended":
            with self._news:
                self.at_s[message["t"]] = at_s
                self._news.notify()

    def wait(self, ids: Sequence[str]) -> None:
        with self._news:
            there = self._news.wait_for(lambda: self.at_s.keys() >= set(ids), PATIENCE_S)
        if not there:
            raise RuntimeError("a turn did not end")


@contextmanager
def _listening(store: str) -> Iterator[_Commits]:
    """In a thread with a connection of its own."""
    commits, over = _Commits(), threading.Event()
    with psycopg.connect(store, autocommit=True) as connection:
        connection.execute("LISTEN turnline")
        thread = threading.Thread(target=_listen, args=(connection, commits, over))
        thread.start()
        try:
            yield commits
        finally:
            over.set()
            thread.join()


def _listen(
    connection: psycopg.Connection[tuple[object, ...]], commits: _Commits, over: threading.Event
) -> None:
    while not over.is_set():
        for notify in connection.notifies(timeout=0.2):
            if notify.payload.startswith("{"):
                commits.hear(notify.payload)


def _show(found: Mapping[str, Sequence[Sequence[HandOver]]]) -> None:
    """Ratios of p50 by rounds, then p50 and p99 of all."""
    to_other = [[each for each in line if each.elsewhere] for line in found[TRIGGER]]
    for name in (SECOND, FIVE):
        show(f"p50, {name} / the trigger", ratios(_p50s(found[name]), _p50s(to_other)))
    show(
        "share of turns that the other process goes on with",
        [len(some) / len(line) for some, line in zip(to_other, found[TRIGGER], strict=True)],
    )
    every = [each for line in to_other for each in line]
    for words, seconds in (
        ("since the commit (aim: p50 10 ms)", [each.since_commit_s for each in every]),
        ("since the end of the agent's work", [each.since_end_s for each in every]),
    ):
        p50, p99 = (1000 * percentile(seconds, share) for share in (0.5, 0.99))
        print(f"({words}: p50 {p50:.1f} ms, p99 {p99:.1f} ms of {len(seconds)})")


def _p50s(lines: Sequence[Sequence[HandOver]]) -> list[float]:
    """Since the commit; nan for a line that one process ran alone."""
    return [median([each.since_commit_s for each in line] or [nan]) for line in lines]
