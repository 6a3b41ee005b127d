"""Every promise of the interface over every strategy, in virtual time; and that the kit fails."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

import pytest

from strategies import Answer, Limits, Load, Place, Reply, State, Strategy, Ticket, Turn
from strategies.testing import PROMISES, Promise, run
from tests.strategies.variants import STRATEGIES

each_promise = pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())
@each_promise
def test_the_strategy_keeps_the_promise(
    promise: Promise, strategy: Callable[..., Strategy]
) -> None:
    run(promise(strategy))


class Naive:
    """The classic: a lock around the agent, in the caller's task, and nothing else."""

    def __init__(self, answer: Answer, limits: Limits) -> None:
        self._answer = answer
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def submit(self, turn: Turn) -> Ticket:
        return NaiveTicket(turn, self._answer, self._locks[turn.conversation])

    def load(self) -> Load:
        return Load()

    async def drain(self, timeout_s: float) -> None:
        pass


class NaiveTicket:
    interrupted = False
    state = State.WAITING
    waited_s = ran_s = 0.0

    def __init__(self, turn: Turn, answer: Answer, lock: asyncio.Lock) -> None:
        self.turn, self._lock = turn, lock
        self._task = asyncio.get_running_loop().create_task(self._run(answer))

    async def _run(self, answer: Answer) -> Reply:
        async with self._lock:
            return await answer(self.turn, self)

    def seal(self) -> None:
        pass

    def place(self) -> Place | None:
        return None

    def cancel(self) -> bool:
        return self._task.cancel()

    def result(self) -> Reply:
        return self._task.result()

    def add_done_callback(self, callback: Callable[[Ticket], object], /) -> None:
        self._task.add_done_callback(lambda task: callback(self))

    async def reply(self) -> Reply:
        return await self._task


def broken_promises(strategy: type[Strategy]) -> set[str]:
    broken: set[str] = set()
    for promise in PROMISES:
        try:
            run(promise(strategy))
        except BaseException:
            broken.add(promise.__name__)
    return broken


def test_the_kit_finds_what_a_bare_lock_does_not_promise() -> None:
    broken = broken_promises(Naive)
    assert {
        "a_caller_that_stops_waiting_changes_nothing",
        "a_turn_ends_at_its_time_limit_though_its_agent_hangs",
        "draining_refuses_what_comes_and_what_waits_and_lets_what_runs_end",
        "at_rest_nothing_is_left_over",
    } <= broken
    assert "one_turn_of_a_conversation_runs_at_once" not in broken
    assert "turns_that_wait_start_in_the_order_of_submission" not in broken


def test_the_kit_finds_what_no_strategy_at_all_does_not_promise() -> None:
    from loadtests.controls.unprotected import Unprotected

    assert "one_turn_of_a_conversation_runs_at_once" in broken_promises(Unprotected)
