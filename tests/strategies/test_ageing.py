"""Priorities with ageing: who is urgent goes first, and nobody starves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from math import inf
from random import Random
from types import FrameType
from typing import Any

import pytest

from strategies import Attempt, Limits, Reply, Ticket, Turn, WaitExpired
from strategies.ageing import Ageing
from strategies.queue import Queue
from strategies.testing import Rig, run
from tests.strategies.places import eta_of, position_of


def rig_of(ageing_s: float = 10.0, **limits: Any) -> Rig:
    """A queue, and an agent that takes a second unless told otherwise."""
    return Rig(partial(Queue, ageing_s=ageing_s), Limits(**limits))


def submit(rig: Rig, name: str, priority: int = 3, conversation: str = "c", **more: Any) -> Ticket:
    message = f"work {more.pop('takes_s', 1)}"
    return rig.submit(message, conversation, id=name, priority=priority, **more)


async def end(*tickets: Ticket) -> None:
    await asyncio.gather(*(ticket.reply() for ticket in tickets), return_exceptions=True)


def test_in_a_line_the_urgent_start_first_and_equals_in_the_order_of_arrival() -> None:
    async def scenario() -> None:
        rig = rig_of()
        tickets = [submit(rig, *turn) for turn in
                   [("running", 3), ("a", 3), ("b", 5), ("c", 1), ("d", 3), ("e", 1)]]  # fmt: skip
        assert [position_of(ticket) for ticket in tickets[1:]] == [3, 5, 1, 4, 2]
        await end(*tickets)
        assert rig.calls == ["running", "c", "e", "a", "d", "b"]

    run(scenario())


def test_a_turn_is_overtaken_only_by_those_that_come_within_the_time_of_their_difference() -> None:
    async def scenario() -> None:
        rig = rig_of()
        tickets = [submit(rig, "running", takes_s=30), submit(rig, "patient", 3)]
        for seconds in (19, 1, 1):
            await asyncio.sleep(seconds)
            tickets.append(submit(rig, f"came after {asyncio.get_running_loop().time():g}", 1))
        await end(*tickets)
        assert rig.calls[1:] == ["came after 19", "patient", "came after 20", "came after 21"]

    run(scenario())


def test_a_flood_of_urgent_turns_starves_nobody() -> None:
    async def scenario() -> None:
        rig = rig_of(max_running=1, max_waiting_per_conversation=1_000, max_wait_s=inf)
        submit(rig, "first")
        least = submit(rig, "least urgent", 7, "other")
        for number in range(200):
            submit(rig, f"urgent {number}", 0)
            await asyncio.sleep(0.5)
        await least.reply()
        assert least.waited_s <= 72

    run(scenario())


def test_between_conversations_the_urgent_go_first() -> None:
    async def scenario() -> None:
        rig = rig_of(max_running=1)
        tickets = [submit(rig, "running", 3, "r")]
        tickets += [submit(rig, f"{name}{priority}", priority, name) for name, priority in
                    [("a", 3), ("b", 5), ("c", 1), ("d", 3), ("b", 2)]]  # fmt: skip
        await end(*tickets)
        assert rig.calls == ["running", "c1", "b2", "a3", "d3", "b5"]

    run(scenario())


def test_when_its_urgent_turn_leaves_a_conversation_has_the_place_that_it_had_without() -> None:
    async def scenario() -> None:
        rig = rig_of(max_running=1)
        tickets = [submit(rig, "running", 3, "r"), submit(rig, "a", 3, "a")]
        urgent = submit(rig, "urgent", 0, "b")
        tickets += [submit(rig, "b", 3, "b"), submit(rig, "d", 3, "d")]
        urgent.cancel()
        await end(*tickets)
        assert rig.calls == ["running", "a", "b", "d"]

    run(scenario())


def test_an_urgent_turn_is_told_the_time_of_its_own_place_and_not_of_the_lines_end() -> None:
    async def scenario() -> None:
        rig = rig_of(max_wait_s=7.0)
        for name in ("x", "y"):
            await submit(rig, name, takes_s=2).reply()
        tickets = [submit(rig, name, takes_s=2) for name in ("running", "a", "b", "c")]
        with pytest.raises(WaitExpired) as refusal:
            submit(rig, "last", takes_s=2)
        assert refusal.value.retry_after_s == pytest.approx(8.0)
        urgent = submit(rig, "urgent", 1, takes_s=2)
        assert position_of(urgent) == 1
        assert eta_of(urgent) == pytest.approx(2.0)
        await end(urgent, *tickets)

    run(scenario())


@pytest.mark.parametrize("ageing_s", [0.0, -1.0, float("inf"), float("nan")])
def test_ageing_takes_some_time(ageing_s: float) -> None:
    with pytest.raises(ValueError, match="ageing_s"):
        rig_of(ageing_s)


def test_the_order_is_that_of_the_ranks_whatever_comes_and_leaves() -> None:
    rng = Random(1)
    line: Ageing[int] = Ageing(10.0)
    there: dict[int, tuple[int, float]] = {}
    for item in range(2_000):
        there[item] = (rng.randrange(8), float(item // 3))
        line.add(item, *there[item])
        while len(there) > 100 or (there and rng.random() < 0.45):
            gone = rng.choice([line.first(), rng.choice(list(there))])
            line.remove(gone, there.pop(gone)[0])
        in_order = sorted(there, key=lambda item: (line.rank(there[item]), there[item][1], item))
        assert list(line) == in_order
        assert len(line) == len(there)
        assert not there or line.first() == in_order[0]


def test_what_stands_before_a_place_is_counted_well_enough() -> None:
    rng = Random(2)
    line: Ageing[int] = Ageing(10.0)
    ranks: list[float] = []
    for item in range(400):
        standing = (rng.choice((2, 3, 4)), item / 10 + rng.random() / 20)
        line.add(item, *standing)
        ranks.append(line.rank(standing))
    for urgency in range(8):
        before = sum(rank <= line.rank((urgency, 40.0)) for rank in ranks)
        assert abs(line.before(urgency, 40.0) - before) <= 20


def steps_each(waiting: int, priority: int) -> float:
    """Bytecodes that it takes to submit a turn whose place and time are told, and to cancel it."""

    async def answer(turn: Turn, attempt: Attempt) -> Reply:
        if turn.message != "quick":
            await asyncio.Event().wait()
        return Reply("measured")

    async def measure() -> float:
        room = 2 * waiting
        limits = Limits(max_waiting=room, max_waiting_per_conversation=room, max_wait_s=inf)
        queue = Queue(answer, limits)
        await queue.submit(Turn("measured", "c", "quick")).reply()
        for number in range(waiting):
            queue.submit(Turn(str(number), f"c{number % (waiting // 10)}", "", None, number % 8))

        def come_and_leave() -> None:
            for number in range(100):
                queue.submit(Turn(f"x{number}", f"c{number}", "", None, priority)).cancel()

        steps = bytecodes(come_and_leave) / 100
        await queue.drain(0)
        return steps

    return asyncio.run(measure())


def bytecodes(function: Callable[[], object]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("priority", [0, 3, 7])
def test_coming_and_leaving_cost_the_same_however_many_wait(priority: int) -> None:
    """A place in a tree is a logarithm deep. What seconds say is in `make bench`."""
    assert steps_each(20_000, priority) < 1.3 * steps_each(1_000, priority)
