"""What only the queue promises: bounds, places, time, and a fair turn for every conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from strategies import (
    Attempt,
    ConversationQueueFull,
    Limits,
    Reply,
    ServerFull,
    State,
    Ticket,
    Turn,
    TurnError,
    TurnTimeout,
    WaitExpired,
)
from strategies.queue import Queue
from strategies.testing import run
from strategies.testing.residue import residue


class House:
    """A queue whose turns take as many seconds as their message says."""

    def __init__(self, **limits: Any) -> None:
        self.started: list[str] = []
        self.queue = Queue(self.answer, Limits(**limits))
        self._serial = 0

    async def answer(self, turn: Turn, attempt: Attempt) -> Reply:
        self.started.append(turn.conversation)
        try:
            await asyncio.sleep(float(turn.message))
        except asyncio.CancelledError:
            if turn.message == "1000":  # It ignores its end.
                await asyncio.sleep(1000)
            raise
        attempt.seal()
        return Reply(turn.message)

    def submit(
        self, conversation: str = "a", takes_s: float = 1, deadline_s: float | None = None
    ) -> Ticket:
        self._serial += 1
        turn = Turn(f"t{self._serial}", conversation, f"{takes_s:g}", deadline_s)
        return self.queue.submit(turn)


def virtually(scenario: Coroutine[Any, Any, None]) -> None:
    run(scenario)


def test_a_conversation_has_a_bound_and_the_next_one_is_told_when_to_come_back() -> None:
    async def scenario() -> None:
        house = House(max_waiting_per_conversation=2)
        await house.submit().reply()
        for _ in range(3):
            house.submit()
        with pytest.raises(ConversationQueueFull) as refusal:
            house.submit()
        assert refusal.value.retry_after_s == 2.0
        house.submit("b")

    virtually(scenario())


def test_all_conversations_together_have_a_bound() -> None:
    async def scenario() -> None:
        house = House(max_running=1, max_waiting=2)
        house.submit("a")
        house.submit("b")
        house.submit("c")
        with pytest.raises(ServerFull):
            house.submit("d")

    virtually(scenario())


def test_a_turn_that_can_start_at_once_needs_no_place_to_wait() -> None:
    async def scenario() -> None:
        house = House(max_waiting=0, max_waiting_per_conversation=0)
        assert house.submit().state is State.RUNNING
        with pytest.raises(ConversationQueueFull):
            house.submit()

    virtually(scenario())


def test_where_nothing_may_wait_the_next_one_is_told_when_the_running_turn_ends() -> None:
    async def scenario() -> None:
        house = House(max_waiting_per_conversation=0)
        await house.submit().reply()
        house.submit()
        await asyncio.sleep(0.25)
        with pytest.raises(ConversationQueueFull) as refusal:
            house.submit()
        assert refusal.value.retry_after_s == pytest.approx(0.75)

    virtually(scenario())


def test_a_turn_that_waits_longer_than_it_may_expires() -> None:
    async def scenario() -> None:
        house = House(max_wait_s=2.0)
        house.submit(takes_s=5)
        late = house.submit()
        with pytest.raises(WaitExpired):
            await late.reply()
        assert late.waited_s == 2.0

    virtually(scenario())


def test_one_hot_conversation_delays_20_quiet_ones_by_a_turn_and_not_by_its_line() -> None:
    """I-7."""

    async def scenario() -> None:
        house = House(max_running=1, max_waiting_per_conversation=500, max_wait_s=None)
        for _ in range(300):
            house.submit("hot")
        quiet = [house.submit(f"quiet {number}") for number in range(20)]
        await asyncio.gather(*(ticket.reply() for ticket in quiet))
        assert max(ticket.waited_s for ticket in quiet) <= 21
        assert house.started.count("hot") <= 2

    virtually(scenario())


def test_a_ticket_knows_its_place_and_when_it_will_start() -> None:
    async def scenario() -> None:
        house = House()
        await house.submit(takes_s=4).reply()
        house.submit(takes_s=4)
        await asyncio.sleep(1)
        waiting = [house.submit(takes_s=4) for _ in range(3)]
        assert [ticket.position for ticket in waiting] == [1, 2, 3]
        assert [ticket.eta_s for ticket in waiting] == [3.0, 7.0, 11.0]
        waiting[0].cancel()
        assert [ticket.position for ticket in waiting[1:]] == [1, 2]
        for ticket, waited_s in zip(waiting[1:], (3.0, 7.0), strict=True):
            await ticket.reply()
            assert ticket.waited_s == waited_s

    virtually(scenario())


def test_behind_an_agent_that_ignores_its_end_the_time_to_wait_grows_shorter() -> None:
    async def scenario() -> None:
        house = House()
        await house.submit(takes_s=4).reply()
        stuck = house.submit(takes_s=1000)
        waiting = house.submit()
        await asyncio.sleep(1)
        stuck.cancel()
        assert waiting.eta_s == 3.0
        await asyncio.sleep(2)
        assert waiting.eta_s == 1.0

    virtually(scenario())


def test_before_the_first_measurement_no_time_is_told() -> None:
    async def scenario() -> None:
        house = House()
        house.submit()
        assert house.submit().eta_s is None

    virtually(scenario())


def test_the_time_to_wait_counts_the_other_lines_where_slots_are_few() -> None:
    async def scenario() -> None:
        house = House(max_running=2)
        await house.submit(takes_s=4).reply()
        for name in "abcdefg":
            house.submit(name, takes_s=4)
        last = house.submit("h", takes_s=4)
        told = last.eta_s
        await last.reply()
        assert told is not None
        assert abs(told - last.waited_s) <= 4.0, f"told {told} s, waited {last.waited_s} s"

    virtually(scenario())


def test_a_turn_that_cannot_end_in_time_any_more_is_refused_at_submission() -> None:
    """I-16."""

    async def scenario() -> None:
        house = House()
        for _ in range(20):
            await house.submit(takes_s=2).reply()
        for _ in range(3):
            house.submit(takes_s=2)
        with pytest.raises(WaitExpired):
            house.submit(takes_s=2, deadline_s=7.0)
        house.submit(takes_s=2, deadline_s=9.0)

    virtually(scenario())


def test_a_turn_that_cannot_end_in_time_any_more_is_not_started() -> None:
    async def scenario() -> None:
        house = House()
        for _ in range(20):
            await house.submit(takes_s=2).reply()
        house.submit(takes_s=6)  # Longer than any measured, so the next one's time is misjudged.
        late = house.submit(takes_s=2, deadline_s=7.0)
        with pytest.raises(WaitExpired):
            await late.reply()
        assert late.waited_s == 6.0
        assert late.ran_s == 0.0

    virtually(scenario())


def test_under_overload_turns_that_start_end_in_time() -> None:
    """Two turns arrive for each one that can be served; all have ten seconds."""

    async def scenario() -> None:
        house = House(max_waiting_per_conversation=1_000)
        endings: list[State] = []

        async def client() -> None:
            try:
                ticket = house.submit(deadline_s=10.0)
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
        assert len(house.started) <= 1.03 * endings.count(State.ANSWERED), "agent time was wasted"

    virtually(scenario())


def test_a_wrong_estimate_does_not_refuse_for_ever() -> None:
    async def scenario() -> None:
        house = House()
        await house.submit(takes_s=100).reply()
        answered = 0
        for _ in range(60):
            first = house.submit(deadline_s=10.0)
            try:
                second = house.submit(deadline_s=10.0)
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
        house = House()
        await house.submit("a", 5).reply()
        for _ in range(30):
            patient, hurried = house.submit("a", 5), house.submit("b", 5, deadline_s=1.0)
            await patient.reply()
            with pytest.raises(TurnTimeout):
                await hurried.reply()
        assert house.queue.load().service_s == 5.0

    virtually(scenario())


def test_stuck_agents_do_not_keep_the_slots_and_keep_their_conversations() -> None:
    """I-13, with a single slot."""

    async def scenario() -> None:
        house = House(max_running=1)
        stuck = house.submit("stuck", takes_s=1000, deadline_s=5.0)
        other = house.submit("other")
        again = house.submit("stuck")
        with pytest.raises(TurnError):
            await stuck.reply()
        await other.reply()
        assert other.waited_s == 6.0, "one second past the deadline the slot is written off"
        assert again.state is State.WAITING
        assert house.queue.load().fenced == 1

    virtually(scenario())


def test_turns_that_left_leave_nothing_though_every_slot_is_taken() -> None:
    """I-25."""

    async def scenario() -> None:
        house = House(max_running=1)
        house.submit("running", takes_s=50)
        names = [f"c{number}" for number in range(100)]
        for name in names:
            house.submit(name).cancel()
        assert len(residue(house.queue, names)) == 1, "the running turn, and nothing else"

    virtually(scenario())


def test_without_a_slot_nothing_could_ever_run_so_that_is_refused() -> None:
    with pytest.raises(ValueError, match="max_running"):
        House(max_running=0)
