"""What each opponent does by itself: the locks that shed, the spread hint, the one line for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from loadtests.controls import find
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import make
from strategies import (
    ConversationBusy,
    ConversationQueueFull,
    Limits,
    ServerFull,
    State,
    Ticket,
    TurnError,
    WaitExpired,
)
from strategies.testing import Rig, ended, error_of, run

# Locks that shed.


@pytest.mark.parametrize("workload", ["overload-2", "silent", "hot", "faulty"])
def test_without_its_options_a_lock_that_sheds_is_lock(workload: str) -> None:
    made = make(workload, 1)
    plain = simulate("loadtests.controls.shedding_lock:SheddingLock", made)
    assert replace(plain, strategy="lock") == simulate("lock", made)


@pytest.mark.parametrize(("name", "bound"), [("lock-1", 1), ("lock-3", 3), ("lock-5", 5)])
def test_so_many_wait_for_a_bounded_lock_in_each_conversation(name: str, bound: int) -> None:
    async def scenario() -> None:
        rig = Rig(find(name))
        for conversation in ("a", "b"):
            tickets = [rig.submit("work 1", conversation) for _ in range(1 + bound)]
            with pytest.raises(ConversationQueueFull):
                rig.submit("work 1", conversation)
            assert tickets[1].cancel()
            rig.submit("work 1", conversation)  # One that leaves makes room.

    run(scenario())


def test_a_full_lock_says_when_the_running_turn_is_likely_to_have_ended() -> None:
    async def scenario() -> None:
        rig = Rig(find("lock-1"))
        await rig.submit("work 2").reply()
        await occupied(rig, waiting=1)
        await asyncio.sleep(0.5)
        with pytest.raises(ConversationQueueFull) as refusal:
            rig.submit()
        assert refusal.value.retry_after_s == pytest.approx(1.5)

    run(scenario())


def test_a_turn_waits_for_half_its_deadline_and_has_as_long_to_run() -> None:
    async def scenario() -> None:
        rig = Rig(find("lock-half"))
        rig.submit("work 3")
        early, late = rig.submit("work 3", deadline_s=6.1), rig.submit(deadline_s=5.9)
        assert await ended(late) == (State.EXPIRED, "not_started")
        assert late.waited_s == pytest.approx(2.95)
        assert (await ended(early))[0] is State.ANSWERED

    run(scenario())


@pytest.mark.parametrize(("max_wait_s", "waited_s"), [(4.0, 2.0), (None, 9.0)])
def test_without_a_deadline_a_turn_waits_for_half_the_longest_wait(
    max_wait_s: float | None, waited_s: float
) -> None:
    async def scenario() -> None:
        rig = Rig(find("lock-half"), Limits(max_wait_s=max_wait_s))
        rig.submit("work 9")
        waiting = rig.submit()
        await error_of(waiting)
        assert waiting.waited_s == waited_s

    run(scenario())


@pytest.mark.parametrize(
    ("name", "left_s", "starts"),
    [
        ("lock-check", 1.9, False),
        ("lock-check", 2.0, True),
        ("lock-5-check", 1.9, False),
        ("lock-check-slack", 1.9, False),
        ("lock-check-slack", 2.1, True),
        ("lock-5", 0.1, True),
    ],
)
def test_a_turn_starts_with_time_left_for_what_a_turn_takes(
    name: str, left_s: float, starts: bool
) -> None:
    async def scenario() -> None:
        rig = Rig(find(name))
        await rig.submit("work 2").reply()
        rig.submit("work 2")
        waiting = rig.submit("work 0", deadline_s=2.0 + left_s)
        behind = rig.submit("work 1")
        await error_of(waiting)
        assert (waiting.turn.id in rig.calls) == starts
        assert (waiting.state is State.EXPIRED) == (not starts)
        assert await error_of(behind) is None
        assert behind.waited_s == 2.0

    run(scenario())


def test_what_comes_to_a_free_conversation_starts_whatever_was_measured() -> None:
    """Or one slow turn might keep all others from being measured."""

    async def scenario() -> None:
        rig = Rig(find("lock-count-check"))
        await rig.submit("work 8").reply()
        assert await error_of(rig.submit("work 1", deadline_s=2.0)) is None

    run(scenario())


@pytest.mark.parametrize(("deadline_s", "taken"), [(7.9, False), (8.0, True)])
def test_a_lock_that_counts_refuses_what_those_before_it_leave_no_time(
    deadline_s: float, taken: bool
) -> None:
    async def scenario() -> None:
        rig = Rig(find("lock-count-check"))
        await rig.submit("work 2").reply()
        await occupied(rig, waiting=1)
        # Two turns before it, its own, and twice a slack of one second.
        await expect(WaitExpired, 4.0, taken, lambda: rig.submit("work 2", deadline_s=deadline_s))

    run(scenario())


def test_a_lock_that_counts_takes_everything_before_the_first_measurement() -> None:
    async def scenario() -> None:
        rig = Rig(find("lock-count-check"))
        rig.submit("work 5")
        await asyncio.sleep(4)
        rig.submit(deadline_s=1.5)

    run(scenario())


# Reject with a spread hint.


def test_the_hints_of_reject_with_jitter_are_spread_around_the_expected_rest() -> None:
    async def scenario() -> list[float]:
        rig = Rig(find("reject-jitter"))
        await rig.submit("work 2").reply()
        rig.submit("work 2")
        hints: list[float] = []
        for _ in range(400):
            with pytest.raises(ConversationBusy) as refusal:
                rig.submit()
            assert refusal.value.retry_after_s is not None
            hints.append(refusal.value.retry_after_s)
        return hints

    hints = run(scenario())
    assert 1.0 <= min(hints) < 1.1
    assert 2.9 < max(hints) <= 3.0
    assert sum(hints) / len(hints) == pytest.approx(2.0, abs=0.1)
    assert hints == run(scenario()), "each instance draws the same"


# One line for everybody.


def test_the_one_that_came_first_starts_first_whatever_its_conversation() -> None:
    async def scenario() -> None:
        rig = Rig(find("global-queue"), Limits(max_running=1))
        tickets = [rig.submit("work 1", conversation) for conversation in "abcabcbbca"]
        await asyncio.gather(*(ticket.reply() for ticket in tickets))
        assert rig.calls == [ticket.turn.id for ticket in tickets]

    run(scenario())


def test_a_busy_conversation_does_not_hold_up_those_behind_it_in_the_line() -> None:
    async def scenario() -> None:
        rig = Rig(find("global-queue"), Limits(max_running=2))
        rig.submit("work 5", "long")
        again = rig.submit("work 1", "long")
        other = rig.submit("work 1", "other")
        last = rig.submit("work 1", "last")
        await asyncio.gather(again.reply(), last.reply())
        assert (other.waited_s, last.waited_s, again.waited_s) == (0.0, 1.0, 5.0)
        assert not rig.overlaps

    run(scenario())


def test_any_number_wait_in_a_line_without_a_bound() -> None:
    async def scenario() -> None:
        rig = Rig(find("global-queue"), Limits(max_running=1, max_waiting=1, max_wait_s=1.0))
        tickets = [rig.submit() for _ in range(500)]
        await asyncio.gather(*(ticket.reply() for ticket in tickets))
        assert tickets[-1].waited_s == 499

    run(scenario())


@pytest.mark.parametrize(("name", "bound"), [("fifo-5", 5), ("fifo-20", 20)])
def test_so_many_wait_in_a_bounded_line_over_all_conversations(name: str, bound: int) -> None:
    async def scenario() -> None:
        rig = Rig(find(name), Limits(max_running=2))
        tickets = [rig.submit("work 1", f"c{number}") for number in range(2 + bound)]
        with pytest.raises(ServerFull):
            rig.submit("work 1", "new")
        assert tickets[-1].cancel()
        rig.submit("work 1", "new")
        assert rig.strategy.load().waiting == bound

    run(scenario())


def test_a_full_line_says_when_the_next_slot_is_likely_to_be_free() -> None:
    async def scenario() -> None:
        rig = Rig(find("fifo-5"), Limits(max_running=4))
        await rig.submit("work 2").reply()
        for number in range(9):
            rig.submit("work 2", f"c{number}")
        with pytest.raises(ServerFull) as refusal:
            rig.submit("work 2", "new")
        assert refusal.value.retry_after_s == pytest.approx(0.5)

    run(scenario())


def test_an_agent_that_ignores_its_end_gives_its_slot_away_once() -> None:
    async def scenario() -> None:
        rig = Rig(find("global-queue"), Limits(max_running=1))
        rig.submit("stubborn 30", "stuck", deadline_s=1.0)
        behind, other = rig.submit("work 1", "stuck"), rig.submit("work 40", "other")
        await behind.reply()
        assert other.waited_s == 2.0  # The deadline, and the second that the agent has to stop.
        assert behind.waited_s == 42.0, "the agent stopped before, and no slot was free"
        assert not rig.overlaps

    run(scenario())


async def occupied(rig: Rig, *, waiting: int) -> list[Ticket]:
    """One turn of two seconds that runs, and so many behind it."""
    tickets = [rig.submit("work 2") for _ in range(1 + waiting)]
    await asyncio.sleep(0)
    return tickets


async def expect(
    refusal: type[TurnError], retry_after_s: float, taken: bool, submit: Callable[[], Ticket]
) -> None:
    """The turn is taken and answered, or refused so with that hint."""
    if taken:
        assert await error_of(submit()) is None
        return
    with pytest.raises(refusal) as raised:
        submit()
    assert raised.value.retry_after_s == pytest.approx(retry_after_s)
