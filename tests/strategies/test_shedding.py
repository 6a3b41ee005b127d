"""What queue sheds under overload, and what it does not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
from random import Random

import pytest

from strategies import Limits, State, Ticket, Turn, TurnError, WaitExpired
from strategies.patience import Patience
from strategies.queue import Queue
from strategies.service_time import ServiceTime
from strategies.shedding import PRESUMED, Known, Retries, least_worth
from strategies.testing import Rig, run


def measured(*ran_s: float) -> ServiceTime:
    service_time = ServiceTime()
    for each in ran_s:
        service_time.observe(each)
    return service_time


def rig_of(max_wait_s: float | None = None) -> Rig:
    return Rig(Queue, Limits(max_running=1, turn_timeout_s=None, max_wait_s=max_wait_s))


async def warm(rig: Rig, message: str = "work 1", times: int = 20) -> None:
    for _ in range(times):
        await rig.submit(message).reply()


async def ending(ticket: Ticket) -> State:
    try:
        await ticket.reply()
    except TurnError as error:
        return error.state
    return State.ANSWERED


# A deadline was told.


def test_a_turn_that_cannot_end_in_time_any_more_does_not_start() -> None:
    """I-16."""

    async def scenario() -> None:
        rig = rig_of()
        await warm(rig, "work 2")
        rig.submit("work 2")
        late = rig.submit("work 2", deadline_s=3.9)
        with pytest.raises(WaitExpired) as refusal:
            await late.reply()
        assert refusal.value.retry_after_s == pytest.approx(2.0)
        assert late.turn.id not in rig.calls

    run(scenario())


@pytest.mark.parametrize("left_s", [0.01, 0.03, 0.5])
def test_however_little_time_is_left_a_hopeless_turn_does_not_start(left_s: float) -> None:
    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        rig.submit("work 1")
        late = rig.submit("work 1 late", deadline_s=1.0 + left_s)
        assert await ending(late) is State.EXPIRED
        assert late.ran_s == 0.0

    run(scenario())


def test_one_that_ends_in_time_starts() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await warm(rig, "work 2")
        rig.submit("work 2")
        assert await ending(rig.submit("work 2", deadline_s=4.2)) is State.ANSWERED

    run(scenario())


def test_among_long_and_short_turns_a_late_one_may_still_be_one_of_the_short() -> None:
    """Its agent is stopped at the deadline, so it costs little more than it may bring."""

    async def scenario() -> None:
        rig = rig_of()
        for _ in range(20):
            await warm(rig, "work 0.5", 4)
            await warm(rig, "work 8", 1)
        rig.submit("work 3")
        assert await ending(rig.submit("work 0.5", deadline_s=4.0)) is State.ANSWERED

    run(scenario())


def test_a_told_deadline_overrides_max_wait_s() -> None:
    async def scenario() -> None:
        rig = rig_of(max_wait_s=2.0)
        rig.submit("work 5")
        told, silent = rig.submit(deadline_s=12.0), rig.submit()
        assert await ending(silent) is State.EXPIRED
        assert silent.waited_s == 2.0
        assert await ending(told) is State.ANSWERED

    run(scenario())


def test_nobody_who_comes_for_the_first_time_is_refused_for_a_long_wait() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        for number in range(50):
            rig.submit(f"work 1 {number}", deadline_s=10.0)
        assert rig.strategy.load().refused == 0

    run(scenario())


def test_another_callers_long_turns_make_nobodys_deadline_look_short() -> None:
    """I-29."""

    async def scenario() -> None:
        rig = Rig(Queue, Limits(max_running=2, turn_timeout_s=None))
        for _ in range(20):
            await rig.submit("work 10", "b", caller="bad").reply()
            await rig.submit("work 0.1", "g", caller="good").reply()
        for conversation in "bc":
            rig.submit("work 10", conversation, caller="bad")
        waiting = rig.submit("work 0.1", "g", caller="good", deadline_s=12.0)
        assert await ending(waiting) is State.ANSWERED

    run(scenario())


# Clients leave.


async def flood_of(rig: Rig, seconds: int, patience_s: float) -> int:
    """Two clients a second, each leaves after so long; how many were answered."""
    answered = 0

    async def client(number: int) -> None:
        nonlocal answered
        ticket = rig.submit(f"work 1 {number}")
        try:
            async with asyncio.timeout(patience_s):
                await ticket.reply()
            answered += 1
        except TimeoutError:
            ticket.cancel() if ticket.state is State.WAITING else None
        except TurnError:
            pass

    clients: list[asyncio.Task[None]] = []
    for number in range(2 * seconds):
        clients.append(asyncio.create_task(client(number)))
        await asyncio.sleep(0.5)
    await asyncio.gather(*clients)
    return answered


@pytest.mark.parametrize("patience_s", [1.7, 4.2, 10.3])
def test_the_patience_of_those_who_left_is_learned(patience_s: float) -> None:
    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        assert await flood_of(rig, 100, patience_s) > 80

    run(scenario())


def test_the_survival_curve_counts_those_who_were_answered_as_more_patient() -> None:
    patience = Patience()
    for waited_s, left in [(1.0, True), (2.0, False), (3.0, True), (4.0, True)]:
        patience.observe(waited_s, 0.0, left=left)
    # Of four one leaves at 1; of the two that are left at 3 one, and at 4 the last.
    assert patience.median_s() == 3.0
    assert patience.finds_client(3.5, measured(0.2)) == 1.0
    assert patience.finds_client(3.5, measured(1.0)) == pytest.approx((1 / 3) / (3 / 8 + 1 / 3))


def test_memoryless_patience_lets_a_late_turn_start_as_a_fresh_one() -> None:
    rng, patience = Random(1), Patience()
    for _ in range(200):
        patience.observe(rng.expovariate(1 / 4), 0.0, left=True)
    service_time = measured(*(rng.expovariate(1.0) for _ in range(100)))
    fresh = patience.finds_client(0.0, service_time)
    assert patience.finds_client(8.0, service_time) == pytest.approx(fresh, abs=0.15)


def test_until_three_have_left_no_patience_is_known() -> None:
    patience = Patience()
    for _ in range(2):
        patience.observe(1.0, 0.0, left=True)
    assert not patience.known(0.0)
    patience.observe(1.0, 0.0, left=True)
    assert patience.known(0.0)


def test_patience_is_forgotten_after_ten_minutes() -> None:
    patience = Patience()
    for _ in range(3):
        patience.observe(1.0, 0.0, left=True)
    assert patience.known(600.0)
    assert not patience.known(600.1)


def test_one_callers_departures_say_nothing_about_another_callers_patience() -> None:
    """I-29."""

    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        running = rig.submit("work 9", conversation="b", caller="bad")
        for number in range(20):
            leaving = rig.submit(f"work 1 {number}", conversation="b", caller="bad")
            await asyncio.sleep(0.4)
            leaving.cancel()
        rig.submit("work 3", conversation="g", caller="good")
        patient = [rig.submit(f"work 1 {n}", conversation="g", caller="good") for n in range(5)]
        await running.reply()
        assert {await ending(ticket) for ticket in patient} == {State.ANSWERED}

    run(scenario())


@pytest.mark.parametrize("others", [0, 1])
def test_where_clients_leave_the_only_turn_that_waits_starts_if_its_client_may_be_there(
    others: int,
) -> None:
    """Those that came later and have left again are not served in its place."""

    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        rig.submit("work 20", conversation="x")
        for patience_s in (3.5, 4.5, 5.5, 6.5):
            leaving = rig.submit(f"work 1 {patience_s}")
            await asyncio.sleep(patience_s)
            leaving.cancel()
        rig.submit("work 4")
        late = rig.submit("work 1 late")
        for number in range(others):
            rig.submit(f"work 1 {number}").cancel()
        assert await ending(late) is State.ANSWERED

    run(scenario())


# Nothing is known.


@pytest.mark.parametrize("size", [5, 100])
def test_a_burst_of_silent_clients_is_served_however_long_it_waits(size: int) -> None:
    """Nobody comes later for whom it could give way."""

    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        burst = [rig.submit(f"work 1 {number}") for number in range(size)]
        assert {await ending(ticket) for ticket in burst} == {State.ANSWERED}

    run(scenario())


def test_in_a_standing_queue_a_silent_client_gives_way_after_six_turns() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        tickets: list[Ticket] = []
        for number in range(300):
            tickets.append(rig.submit(f"work 1 {number}"))
            await asyncio.sleep(0.5)
        for ticket in tickets:
            await ending(ticket)
        late = [ticket for ticket in tickets[150:270] if ticket.state is State.ANSWERED]
        assert len(late) > 50
        assert max(ticket.waited_s for ticket in late) <= PRESUMED + 1

    run(scenario())


def test_nobody_gives_way_to_another_callers_turns() -> None:
    """I-29."""

    async def scenario() -> None:
        rig = Rig(Queue, Limits(max_running=2, turn_timeout_s=None))
        await warm(rig)
        rig.submit("work 120", conversation="g", caller="good")
        patient = rig.submit("work 1 patient", conversation="g", caller="good")
        behind = rig.submit("work 1 behind", conversation="g", caller="good")
        for number in range(240):
            rig.submit(f"work 1 {number}", conversation=f"b{number % 9}", caller="bad")
            await asyncio.sleep(0.5)
        assert await ending(patient) is State.ANSWERED
        assert await ending(behind) is State.ANSWERED

    run(scenario())


def test_behind_one_long_turn_nobody_gives_way() -> None:
    """A line that waits for long is not one that stands: it has not moved."""

    async def scenario() -> None:
        rig = rig_of()
        await warm(rig, "work 0.1")
        rig.submit("work 60")
        followers = []
        for number in range(5):
            followers.append(rig.submit(f"work 0.1 {number}"))
            await asyncio.sleep(10)
        assert {await ending(ticket) for ticket in followers} == {State.ANSWERED}

    run(scenario())


def test_what_follows_a_long_turn_of_its_own_conversation_gives_way_to_no_other_line() -> None:
    """It could not run while others did."""

    async def scenario() -> None:
        rig = Rig(Queue, Limits(max_running=4, turn_timeout_s=None))
        await warm(rig, "work 0.1")
        rig.submit("work 10", "long")
        follow = [rig.submit(f"work 0.1 {number}", "long") for number in range(2)]
        for number in range(300):
            rig.submit(f"work 0.1 other {number}", f"c{number % 8}")
            await asyncio.sleep(0.025)
        assert [await ending(ticket) for ticket in follow] == [State.ANSWERED] * 2

    run(scenario())


def test_failures_that_come_at_once_make_nobodys_turn_look_late() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        for _ in range(100):
            await ending(rig.submit("raise Exception", conversation="b"))
        strategy = rig.strategy
        assert strategy.load().service_s == 1.0

    run(scenario())


def test_a_turn_for_which_nobody_waits_never_gives_way() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        background = [rig.submit(f"work 1 {number}", deadline_s=inf) for number in range(40)]
        for number in range(100):
            rig.try_submit(f"work 1 fresh {number}")
            await asyncio.sleep(0.5)
        assert {await ending(ticket) for ticket in background} == {State.ANSWERED}

    run(scenario())


def test_who_says_max_wait_s_has_it_instead_of_what_is_presumed() -> None:
    async def scenario() -> None:
        rig = rig_of(max_wait_s=inf)
        await warm(rig)
        tickets = [rig.submit(f"work 1 {number}") for number in range(60)]
        assert {await ending(ticket) for ticket in tickets} == {State.ANSWERED}

    run(scenario())


# Retries.


def test_a_message_that_was_sent_away_waits_only_if_it_starts_in_half_of_its_time() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        for number in range(8):
            rig.submit(f"work 1 {number}", deadline_s=60.0)
        await ending(rig.submit("work 1 again", deadline_s=5.0))
        for number in range(5):
            rig.submit(f"work 1 more {number}", deadline_s=60.0)
        with pytest.raises(WaitExpired) as refusal:
            rig.submit("work 1 again", deadline_s=10.0)
        assert refusal.value.retry_after_s == pytest.approx(8.0, abs=1.5)
        rig.submit("work 1 other words", deadline_s=10.0)
        rig.submit("work 1 again", conversation="other", deadline_s=10.0)
        assert await ending(rig.submit("work 1 again", deadline_s=30.0)) is State.ANSWERED

    run(scenario())


def test_a_retry_that_is_next_in_line_is_never_sent_away() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        rig.submit("work 1.5")
        await ending(rig.submit("again", deadline_s=0.2))
        rig.submit("work 0.5")
        await asyncio.sleep(1.4)
        assert await ending(rig.submit("work 1 again", deadline_s=1.9)) is State.ANSWERED

    run(scenario())


def test_of_two_that_have_waited_as_long_the_first_is_not_dropped_for_the_second() -> None:
    """It would leave a hole in the conversation."""

    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)
        rig.submit("work 20", conversation="x")
        for patience_s in (3.5, 4.5, 5.5, 6.5):
            leaving = rig.submit(f"work 1 {patience_s}")
            await asyncio.sleep(patience_s)
            leaving.cancel()
        rig.submit("work 4")
        follow = [rig.submit(f"work 1 {number}") for number in range(2)]
        assert [await ending(ticket) for ticket in follow] == [State.ANSWERED] * 2

    run(scenario())


def test_a_message_that_was_answered_is_no_retry_when_it_comes_again() -> None:
    retries = Retries()
    turn = Turn("t", "c", "yes")
    retries.remember(turn, 0.0)
    assert retries.knows(Turn("u", "c", "yes"), -1.0)
    retries.forget(turn)
    assert not retries.knows(turn, -1.0)


def test_of_messages_that_were_sent_away_the_last_thousand_are_remembered() -> None:
    retries = Retries()
    for number in range(1_001):
        retries.remember(Turn("t", "c", str(number)), 0.0)
    assert not retries.knows(Turn("t", "c", "0"), -1.0)
    assert retries.knows(Turn("t", "c", "1"), -1.0)


def test_a_message_that_is_refused_again_and_again_counts_as_new_after_thirty_services() -> None:
    async def scenario() -> None:
        rig = rig_of()
        await warm(rig)

        async def busy(conversation: str) -> None:
            while asyncio.get_running_loop().time() < 100:
                with suppress(TurnError):
                    await rig.submit("work 1", conversation).reply()

        others = [asyncio.create_task(busy(f"other {number}")) for number in range(4)]
        await ending(rig.submit("again", deadline_s=0.5))
        refused_s = asyncio.get_running_loop().time()
        while True:
            try:
                ticket = rig.submit("again", deadline_s=6.0)
                break
            except WaitExpired as error:
                await asyncio.sleep(error.retry_after_s or 1.0)
        assert asyncio.get_running_loop().time() - refused_s <= 35
        ticket.cancel()
        for other in others:
            other.cancel()

    run(scenario())


def test_at_rest_it_knows_nobody_who_was_sent_away() -> None:
    async def scenario() -> None:
        rig = Rig(Queue, Limits(max_running=1, max_waiting_per_conversation=0))
        running = rig.submit("work 1")
        with pytest.raises(TurnError):
            rig.submit("again")
        strategy = rig.strategy
        assert isinstance(strategy, Queue)
        assert strategy.shedding.retries.knows(Turn("", "c", "again"), -1.0)
        await running.reply()
        assert not strategy.shedding.retries.knows(Turn("", "c", "again"), -1.0)

    run(scenario())


# Few measurements.


def test_few_measurements_are_believed_less() -> None:
    """A single one may be far off: what it says is late may be worth the start."""
    known = Known()
    known.service_time.observe(1.0)
    assert least_worth(known) == pytest.approx(0.45)
    for _ in range(99):
        known.service_time.observe(1.0)
    assert least_worth(known) == pytest.approx(0.855)
