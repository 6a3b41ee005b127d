"""What only the queue promises: bounds, places, time, and a fair turn for every conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from math import inf
from typing import Any

import pytest

from strategies import (
    ConversationQueueFull,
    Limits,
    ServerFull,
    State,
    TurnError,
    TurnTimeout,
    WaitExpired,
)
from strategies.queue import Queue
from strategies.testing import Rig, run
from strategies.testing.residue import residue
from tests.strategies.places import eta_of, position_of


def rig_of(**limits: Any) -> Rig:
    """A queue whose agent takes a second, unless told otherwise."""
    return Rig(Queue, Limits(**limits))


def virtually(scenario: Coroutine[Any, Any, None]) -> None:
    run(scenario)


def test_a_conversation_has_a_bound_and_the_next_one_is_told_when_to_come_back() -> None:
    async def scenario() -> None:
        rig = rig_of(max_waiting_per_conversation=2)
        await rig.submit().reply()
        for _ in range(3):
            rig.submit()
        with pytest.raises(ConversationQueueFull) as refusal:
            rig.submit()
        assert refusal.value.retry_after_s == 2.0
        rig.submit(conversation="b")

    virtually(scenario())


def test_all_conversations_together_have_a_bound() -> None:
    async def scenario() -> None:
        rig = rig_of(max_running=1, max_waiting=2)
        rig.submit(conversation="a")
        rig.submit(conversation="b")
        rig.submit(conversation="c")
        with pytest.raises(ServerFull):
            rig.submit(conversation="d")

    virtually(scenario())


def test_a_turn_that_can_start_at_once_needs_no_place_to_wait() -> None:
    async def scenario() -> None:
        rig = rig_of(max_waiting=0, max_waiting_per_conversation=0)
        assert rig.submit().state is State.RUNNING
        with pytest.raises(ConversationQueueFull):
            rig.submit()

    virtually(scenario())


def test_where_nothing_may_wait_the_next_one_is_told_when_the_running_turn_ends() -> None:
    async def scenario() -> None:
        rig = rig_of(max_waiting_per_conversation=0)
        await rig.submit().reply()
        rig.submit()
        await asyncio.sleep(0.25)
        with pytest.raises(ConversationQueueFull) as refusal:
            rig.submit()
        assert refusal.value.retry_after_s == pytest.approx(0.75)

    virtually(scenario())


def test_a_turn_that_waits_longer_than_it_may_expires() -> None:
    async def scenario() -> None:
        rig = rig_of(max_wait_s=2.0)
        rig.submit("work 5")
        late = rig.submit()
        with pytest.raises(WaitExpired):
            await late.reply()
        assert late.waited_s == 2.0

    virtually(scenario())


def test_one_hot_conversation_delays_20_quiet_ones_by_a_turn_and_not_by_its_line() -> None:
    """I-7."""

    async def scenario() -> None:
        rig = rig_of(max_running=1, max_waiting_per_conversation=500, max_wait_s=inf)
        for _ in range(300):
            rig.submit(conversation="hot")
        quiet = [rig.submit(conversation=f"quiet {number}") for number in range(20)]
        await asyncio.gather(*(ticket.reply() for ticket in quiet))
        assert max(ticket.waited_s for ticket in quiet) <= 21
        assert [turn.conversation for turn in rig.asked].count("hot") <= 2

    virtually(scenario())


def test_a_ticket_knows_its_place_and_when_it_will_start() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await rig.submit("work 4").reply()
        rig.submit("work 4")
        await asyncio.sleep(1)
        waiting = [rig.submit("work 4") for _ in range(3)]
        assert [position_of(ticket) for ticket in waiting] == [1, 2, 3]
        assert [eta_of(ticket) for ticket in waiting] == [3.0, 7.0, 11.0]
        waiting[0].cancel()
        assert [position_of(ticket) for ticket in waiting[1:]] == [1, 2]
        for ticket, waited_s in zip(waiting[1:], (3.0, 7.0), strict=True):
            await ticket.reply()
            assert ticket.waited_s == waited_s

    virtually(scenario())


def test_behind_an_agent_that_ignores_its_end_the_time_to_wait_grows_shorter() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await rig.submit("work 4").reply()
        stuck = rig.submit("stubborn 1000")
        waiting = rig.submit()
        await asyncio.sleep(1)
        stuck.cancel()
        assert eta_of(waiting) == 3.0
        await asyncio.sleep(2)
        assert eta_of(waiting) == 1.0

    virtually(scenario())


def test_before_the_first_measurement_no_time_is_told() -> None:
    async def scenario() -> None:
        rig = rig_of()
        rig.submit()
        assert eta_of(rig.submit()) is None

    virtually(scenario())


def test_the_time_to_wait_counts_the_other_lines_where_slots_are_few() -> None:
    async def scenario() -> None:
        rig = rig_of(max_running=2)
        await rig.submit("work 4").reply()
        for name in "abcdefg":
            rig.submit("work 4", name)
        last = rig.submit("work 4", "h")
        told = eta_of(last)
        await last.reply()
        assert told is not None
        assert abs(told - last.waited_s) <= 4.0, f"told {told} s, waited {last.waited_s} s"

    virtually(scenario())


def test_a_turn_that_cannot_end_in_time_any_more_is_not_started() -> None:
    async def scenario() -> None:
        rig = rig_of()
        for _ in range(20):
            await rig.submit("work 2").reply()
        rig.submit("work 6")  # Longer than any measured, so the next one's time is misjudged.
        late = rig.submit("work 2", deadline_s=7.0)
        with pytest.raises(WaitExpired):
            await late.reply()
        assert late.waited_s == 6.0
        assert late.ran_s == 0.0

    virtually(scenario())


def test_under_overload_turns_that_start_end_in_time() -> None:
    """Two turns arrive for each one that can be served; all have ten seconds."""

    async def scenario() -> None:
        rig = rig_of(max_waiting_per_conversation=1_000)
        endings: list[State] = []

        async def client() -> None:
            try:
                ticket = rig.submit(deadline_s=10.0)
                await ticket.reply()
            except TurnError as error:
                endings.append(error.state)
            else:
                endings.append(State.ANSWERED)

        clients: list[asyncio.Task[None]] = []
        for _ in range(400):
            clients.append(asyncio.create_task(client()))
            await asyncio.sleep(0.5)
        await asyncio.gather(*clients)
        assert endings.count(State.ANSWERED) >= 0.97 * 200
        assert len(rig.asked) <= 1.03 * endings.count(State.ANSWERED), "agent time was wasted"

    virtually(scenario())


def test_a_wrong_estimate_does_not_refuse_for_ever() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await rig.submit("work 100").reply()
        answered = 0
        for _ in range(60):
            first = rig.submit(deadline_s=10.0)
            try:
                second = rig.submit(deadline_s=10.0)
                await second.reply()
                answered += 1
            except WaitExpired:
                pass
            await first.reply()
        assert answered > 0

    virtually(scenario())


def test_turns_with_little_time_do_not_make_the_others_look_short() -> None:
    """A turn that was stopped after 1 s says only that it would have taken longer."""

    async def scenario() -> None:
        rig = rig_of()
        await rig.submit("work 5", "a").reply()
        for _ in range(30):
            patient, hurried = rig.submit("work 5", "a"), rig.submit("work 5", "b", deadline_s=1.0)
            await patient.reply()
            with pytest.raises(TurnTimeout):
                await hurried.reply()
        assert rig.strategy.load().service_s == 5.0

    virtually(scenario())


def test_stuck_agents_do_not_keep_the_slots_and_keep_their_conversations() -> None:
    """I-13, with a single slot."""

    async def scenario() -> None:
        rig = rig_of(max_running=1)
        stuck = rig.submit("stubborn 1000", "stuck", deadline_s=5.0)
        other = rig.submit(conversation="other")
        again = rig.submit(conversation="stuck")
        with pytest.raises(TurnError):
            await stuck.reply()
        await other.reply()
        assert other.waited_s == 6.0, "one second past the deadline the slot is written off"
        assert again.state is State.WAITING
        assert rig.strategy.load().fenced == 1

    virtually(scenario())


def test_turns_that_left_leave_nothing_though_every_slot_is_taken() -> None:
    """I-25."""

    async def scenario() -> None:
        rig = rig_of(max_running=1)
        rig.submit("work 50", "running")
        names = [f"c{number}" for number in range(100)]
        for name in names:
            rig.submit(conversation=name).cancel()
        assert len(residue(rig.strategy, names)) == 1, "the running turn, and nothing else"

    virtually(scenario())


def test_without_a_slot_nothing_could_ever_run_so_that_is_refused() -> None:
    with pytest.raises(ValueError, match="max_running"):
        rig_of(max_running=0)
