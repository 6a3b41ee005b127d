"""What one more turn costs when many wait, and what a waiting turn weighs."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
import tracemalloc
from math import inf

from loadtests.bench.figures import show, title
from strategies import Attempt, Limits, Reply, Ticket, Turn
from strategies.queue import Queue

UNBOUNDED = Limits(
    max_running=1, max_waiting=10**9, max_waiting_per_conversation=10**9, max_wait_s=inf
)


def measure(quick: bool) -> None:
    rounds, many = (2, 20_000) if quick else (5, 100_000)
    title("With many turns waiting", rounds)
    _measure_cost(rounds, many)
    _measure_memory()


def _measure_cost(rounds: int, many: int) -> None:
    few = 1_000
    ratios: dict[str, list[float]] = {"submit": [], "cancel": [], "finish": []}
    for _ in range(rounds):
        one, other = asyncio.run(_costs(few)), asyncio.run(_costs(many))
        for name, list_ in ratios.items():
            list_.append(other[name] / one[name])
    for name, list_ in ratios.items():
        show(f"{name}: with {many:,} waiting / with {few:,}", list_, "at most 1.3")


class _Crowd:
    """A queue in which so many turns wait, in 1,000 lines; its agent's turns end one by one."""

    def __init__(self) -> None:
        self._gates: list[asyncio.Future[None]] = []
        self._serial = 0
        self.queue = Queue(self._answer, UNBOUNDED)

    async def _answer(self, turn: Turn, attempt: Attempt) -> Reply:
        gate = asyncio.get_running_loop().create_future()
        self._gates.append(gate)
        await gate
        return Reply("ok")

    def submit(self) -> Ticket:
        self._serial += 1
        turn = Turn(str(self._serial), f"c{self._serial % 1_000}", "hello")
        return self.queue.submit(turn)

    async def finish_one(self) -> None:
        """End the turn that runs; return when the next one does."""
        self._gates.pop().set_result(None)
        while not self._gates:
            await asyncio.sleep(0)


async def _costs(waiting: int) -> dict[str, float]:
    """Median seconds of each step, over 200 batches of 5, with so many turns waiting."""
    crowd, batch = _Crowd(), 5
    for _ in range(waiting):
        crowd.submit()
    await asyncio.sleep(0)
    gc.collect()
    gc.disable()
    times: dict[str, list[float]] = {"submit": [], "cancel": [], "finish": []}
    for _ in range(200):
        instants = [time.perf_counter()]
        added = [crowd.submit() for _ in range(2 * batch)]
        instants.append(time.perf_counter())
        for ticket in added[:batch]:
            ticket.cancel()
        instants.append(time.perf_counter())
        for _ in range(batch):
            await crowd.finish_one()
        instants.append(time.perf_counter())
        for list_, began, ended in zip(times.values(), instants, instants[1:], strict=False):
            list_.append(ended - began)
    gc.enable()
    await crowd.queue.drain(0)
    return {name: statistics.median(list_) for name, list_ in times.items()}


def _measure_memory() -> None:
    bytes_each = asyncio.run(_bytes_each(10_000))
    print(
        f"{'bytes for each waiting turn, inside the strategy':68} {bytes_each:6.0f}   at most 2,000"
    )


async def _bytes_each(waiting: int) -> float:
    async def answer(turn: Turn, attempt: Attempt) -> Reply:
        await asyncio.Event().wait()
        return Reply("never")

    queue = Queue(answer, UNBOUNDED)
    turns = [Turn(str(number), f"c{number % 1_000}", "hello") for number in range(waiting)]
    gc.collect()
    tracemalloc.start()
    tickets = [queue.submit(turn) for turn in turns]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tickets) == waiting
    drain = asyncio.create_task(queue.drain(0))
    await drain
    return size / waiting
