"""What a turn weighs, and that nothing grows: I-22, I-25."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

from strategies import Attempt, Limits, Reply, Turn
from strategies.queue import Queue

WAITING = 10_000


def test_a_waiting_turn_costs_at_most_2_kb_inside_the_strategy() -> None:
    async def weigh() -> float:
        async def answer(turn: Turn, attempt: Attempt) -> Reply:
            await asyncio.Event().wait()
            return Reply("never")

        limits = Limits(max_waiting=WAITING, max_waiting_per_conversation=WAITING)
        queue = Queue(answer, limits)
        turns = [Turn(str(number), f"c{number % 100}", "hello") for number in range(WAITING)]
        gc.collect()
        tracemalloc.start()
        for turn in turns:
            queue.submit(turn)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await queue.drain(0)
        return size / WAITING

    assert asyncio.run(weigh()) < 2_000


@pytest.mark.slow
def test_thousands_of_turns_over_as_many_conversations_leave_nothing_that_grows() -> None:
    async def grow() -> list[int]:
        async def answer(turn: Turn, attempt: Attempt) -> Reply:
            await asyncio.sleep(0)
            return Reply("ok")

        queue = Queue(answer, Limits(max_waiting=10_000))
        sizes: list[int] = []
        tracemalloc.start()
        for round_ in range(12):
            tickets = [
                queue.submit(Turn(f"{round_}-{n}", f"{round_}-{n // 2}", "hi"))
                for n in range(1_000)
            ]
            await asyncio.gather(*(ticket.reply() for ticket in tickets))
            del tickets
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        return sizes

    sizes = asyncio.run(grow())
    # Cancelled timers stay with the loop for a while, up to a round's worth. An entry of a few
    # hundred bytes for each turn or conversation would show as several times that.
    assert sizes[-1] - sizes[1] < 200_000
