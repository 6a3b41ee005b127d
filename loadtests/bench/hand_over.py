"""From the end of a turn to the start of the next of its conversation."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine

from loadtests.bench.figures import show, title
from loadtests.bench.waiting import UNBOUNDED
from strategies import Attempt, Reply, Turn
from strategies.queue import Queue


def measure(quick: bool) -> None:
    rounds, turns = (3, 1_000) if quick else (11, 5_000)
    title("From the end of a turn to the start of the next", rounds)
    gaps: dict[str, list[float]] = {"queue": [], "task": [], "inline": []}
    for _ in range(rounds):
        gaps["queue"].append(asyncio.run(_gap_of_strategy(turns)))
        gaps["task"].append(asyncio.run(_gap_of_worker(turns, _in_a_task)))
        gaps["inline"].append(asyncio.run(_gap_of_worker(turns, _inline)))
    for name, words in (("task", "a task for each turn"), ("inline", "turns in the worker itself")):
        ratios = [a / b for a, b in zip(gaps["queue"], gaps[name], strict=True)]
        aim = "at most 2" if name == "task" else "(unsafe: a cancelled turn ends the worker)"
        show(f"queue / asyncio.Queue, {words}", ratios, aim)


class _Gaps:
    """An agent that notes when it ended and when it was next called."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self.ended = 0.0

    async def work(self) -> None:
        if self.ended:
            self.gaps.append(time.perf_counter() - self.ended)
        await asyncio.sleep(0)
        self.ended = time.perf_counter()

    @property
    def median(self) -> float:
        return statistics.median(self.gaps)


async def _gap_of_strategy(turns: int) -> float:
    gaps = _Gaps()

    async def answer(turn: Turn, attempt: Attempt) -> Reply:
        await gaps.work()
        return Reply("ok")

    queue = Queue(answer, UNBOUNDED)
    tickets = [queue.submit(Turn(str(number), "c", "hello")) for number in range(turns)]
    await asyncio.gather(*(ticket.reply() for ticket in tickets))
    return gaps.median


async def _gap_of_worker(
    turns: int,
    run: Callable[[Callable[[], Coroutine[None, None, None]]], Coroutine[None, None, None]],
) -> float:
    """The classic: one `asyncio.Queue`, one worker, a future for each request."""
    gaps = _Gaps()
    line: asyncio.Queue[asyncio.Future[str]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def worker() -> None:
        while True:
            future = await line.get()
            await run(gaps.work)
            future.set_result("ok")

    futures = [loop.create_future() for _ in range(turns)]
    for future in futures:
        line.put_nowait(future)
    task = asyncio.create_task(worker())
    await asyncio.gather(*futures)
    task.cancel()
    return gaps.median


async def _inline(work: Callable[[], Coroutine[None, None, None]]) -> None:
    await work()


async def _in_a_task(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """What the strategy does too, for a turn must survive its caller and end at its deadline."""
    async with asyncio.timeout(60):
        await asyncio.create_task(work())
