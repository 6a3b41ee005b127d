"""The conformance kit: every promise in the docstrings of `strategies.base`, one function each.

Each takes a strategy's class, plays one situation in virtual time, and raises
AssertionError where the promise is broken. A strategy may refuse what another
would let wait, or interrupt it; the promises are about what it accepts and goes on with.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any

from ..base import Limits, Ticket
from ..errors import (
    AgentFailed,
    Draining,
    ServerFull,
    State,
    TurnCancelled,
    TurnError,
    TurnInterrupted,
    TurnTimeout,
)
from .residue import residue
from .rig import ERRORS, MARK, TIMEOUT_S, Factory, Rig, error_of

Promise = Callable[[Factory], Coroutine[Any, Any, None]]

SOON_S = 0.001
"""Until an agent that was told to stop has."""

FINAL = frozenset(State) - {State.WAITING, State.RUNNING}


async def one_turn_of_a_conversation_runs_at_once(factory: Factory) -> None:
    rig = Rig(factory)
    tickets = [rig.try_submit("work 1") for _ in range(5)]
    await asyncio.gather(*(error_of(ticket) for ticket in tickets if ticket))
    assert rig.calls
    assert not rig.overlaps, f"these turns ran beside another: {rig.overlaps}"


async def turns_that_wait_start_in_the_order_of_submission(factory: Factory) -> None:
    rig = Rig(factory)
    tickets = [await rig.occupy(1)]
    tickets += [ticket for ticket in (rig.try_submit("work 1") for _ in range(4)) if ticket]
    endings = [await error_of(ticket) for ticket in tickets]
    assert all(ending is None or isinstance(ending, TurnInterrupted) for ending in endings)
    answered = [t.turn.id for t, ending in zip(tickets, endings, strict=True) if ending is None]
    assert rig.calls == answered, f"order was {rig.calls}"


async def conversations_do_not_wait_for_each_other(factory: Factory) -> None:
    rig = Rig(factory)
    rig.submit("hang", "stuck")
    ticket = rig.submit("work 1", "other")
    await ticket.reply()
    assert ticket.waited_s == 0, "another conversation's turn made it wait, with slots free"


async def a_flood_of_one_caller_costs_another_no_more_than_the_next_slot(factory: Factory) -> None:
    rig = Rig(factory, Limits(max_running=2, turn_timeout_s=TIMEOUT_S))
    flood = [rig.submit(f"work {number}", f"c{number}", caller="many") for number in (4, 5)]
    flood += [rig.submit("work 5", f"more {number}", caller="many") for number in range(8)]
    await asyncio.sleep(1)
    mine = rig.submit("work 1", "mine", caller="one")
    await mine.reply()
    assert mine.waited_s <= 3.0, "it waited for more than the first slot that was free"
    again = rig.submit("work 1", "mine", caller="one")
    await again.reply()
    assert again.waited_s <= 5.0, "it had no slot, and others got more than one before it"
    await asyncio.gather(*(ticket.reply() for ticket in flood))


async def urgent_turns_of_one_caller_do_not_overtake_those_of_another(factory: Factory) -> None:
    rig = Rig(factory, Limits(max_running=1, turn_timeout_s=TIMEOUT_S))
    for number in range(4):
        rig.submit("work 1", f"c{number}", caller="many", priority=0)
    mine = rig.submit("work 1", "mine", caller="one", priority=7)
    await mine.reply()
    assert mine.waited_s <= 1.0, "the urgent turns of another caller went before it"
    await rig.strategy.drain(TIMEOUT_S)


async def one_caller_cannot_fill_the_line_for_all(factory: Factory) -> None:
    limits = Limits(max_running=1, max_waiting=6, max_waiting_per_caller=3)
    rig = Rig(factory, limits)
    for number in range(12):
        with suppress(TurnError):
            rig.submit("work 1", f"c{number}", caller="many")
    mine = [rig.submit("work 1", f"mine {number}", caller="one") for number in range(3)]
    for ticket in mine:
        await ticket.reply()
    await rig.strategy.drain(TIMEOUT_S)


async def a_reply_is_the_turns_own_with_its_place_in_the_history(factory: Factory) -> None:
    rig = Rig(factory)
    for number in (1, 2, 3):
        ticket = rig.submit("work 1")
        reply = await ticket.reply()
        assert (reply.text, reply.number) == (ticket.turn.id, number)
        assert ticket.state is State.ANSWERED


async def whatever_the_agent_raises_ends_its_turn_and_frees_its_conversation(
    factory: Factory,
) -> None:
    rig = Rig(factory)
    for name in ERRORS.keys() - {"ServerFull"}:
        ending = await error_of(rig.submit(f"raise {name}"))
        assert isinstance(ending, AgentFailed), f"{name} became {ending!r}"
        assert ending.outcome == "rolled_back"
        assert await error_of(rig.submit("work 1")) is None, f"no turn after {name}"


async def a_turn_error_of_the_answer_reaches_its_ticket_as_it_is(factory: Factory) -> None:
    rig = Rig(factory)
    ticket = rig.submit("raise ServerFull")
    ending = await error_of(ticket)
    assert type(ending) is ServerFull, f"it became {ending!r}"
    assert ticket.state is ServerFull.state


async def an_answer_without_a_reply_is_a_failure(factory: Factory) -> None:
    rig = Rig(factory)
    ending = await error_of(rig.submit("nothing"))
    assert isinstance(ending, AgentFailed), f"it became {ending!r}"
    assert await error_of(rig.submit("work 1")) is None, "its conversation was not freed"


async def a_failure_after_the_seal_has_an_unknown_outcome(factory: Factory) -> None:
    rig = Rig(factory)
    ending = await error_of(rig.submit("break 0.5"))
    assert isinstance(ending, AgentFailed), f"it became {ending!r}"
    assert ending.outcome == "unknown", "nobody can tell whether the reply was kept"
    assert await error_of(rig.submit("work 1")) is None, "its conversation was not freed"


async def a_turn_ends_at_its_time_limit_though_its_agent_hangs(factory: Factory) -> None:
    rig = Rig(factory)
    ticket = rig.submit("hang")
    ending = await error_of(ticket)
    assert isinstance(ending, TurnTimeout)
    assert ending.outcome == "rolled_back"
    assert ticket.ran_s == TIMEOUT_S
    assert await error_of(rig.submit("work 1")) is None, "its conversation was not freed"


async def a_turn_ends_at_its_own_deadline_while_it_runs(factory: Factory) -> None:
    rig = Rig(factory)
    ticket = rig.submit("hang", deadline_s=3.0)
    assert isinstance(await error_of(ticket), TurnTimeout)
    assert ticket.ran_s == 3.0


async def a_turn_whose_deadline_passes_while_it_waits_is_never_started(factory: Factory) -> None:
    rig = Rig(factory)
    await rig.occupy(5)
    try:
        late = rig.submit("work 1", deadline_s=2.0)
    except TurnError as refusal:
        assert refusal.outcome == "not_started"
        return
    ending = await error_of(late)
    assert ending is not None
    assert ending.outcome == "not_started"
    assert late.waited_s == 2.0
    await asyncio.sleep(20)
    assert late.turn.id not in rig.calls, "it was started all the same"


async def an_agent_that_ignores_its_end_keeps_its_conversation_and_no_other(
    factory: Factory,
) -> None:
    rig = Rig(factory)
    stuck = rig.submit("stubborn 30", deadline_s=1.0)
    assert isinstance(await error_of(stuck), TurnTimeout)
    assert rig.strategy.load().fenced == 1
    after = rig.try_submit("work 1")
    assert await error_of(rig.submit("work 1", "other")) is None
    if after is not None:
        await after.reply()
    assert not rig.overlaps, "the conversation was given away before the agent had stopped"
    await asyncio.sleep(60)
    assert stuck.turn.id not in rig.kept["c" if "c" in rig.kept else "other"]
    assert rig.strategy.load().fenced == 0


async def a_waiting_turn_that_is_cancelled_never_reaches_the_agent(factory: Factory) -> None:
    rig = Rig(factory)
    running = await rig.occupy(1)
    waiting = rig.try_submit("work 1")
    if waiting is None:
        return
    depth = rig.strategy.load().waiting
    assert waiting.cancel()
    assert waiting.state is State.CANCELLED
    assert rig.strategy.load().waiting == depth - 1, "it kept its place"
    ending = await error_of(waiting)
    assert isinstance(ending, TurnCancelled)
    assert ending.outcome == "not_started"
    await running.reply()
    await asyncio.sleep(5)
    assert rig.calls == [running.turn.id]


async def a_running_turn_that_is_cancelled_keeps_nothing(factory: Factory) -> None:
    rig = Rig(factory)
    ticket = rig.submit("work 5")
    await asyncio.sleep(1)
    assert ticket.cancel()
    ending = await error_of(ticket)
    assert isinstance(ending, TurnCancelled)
    assert ending.outcome == "rolled_back"
    assert not ticket.cancel(), "it was cancelled twice"
    await asyncio.sleep(SOON_S)
    assert await error_of(rig.submit("work 1")) is None
    assert ticket.turn.id not in rig.kept["c"]


async def a_turn_cancelled_before_its_agent_was_called_did_not_start(factory: Factory) -> None:
    rig = Rig(factory)
    ticket = rig.submit("work 1")
    assert ticket.cancel()
    ending = await error_of(ticket)
    assert ending is not None
    assert ending.outcome == "not_started"
    await asyncio.sleep(SOON_S)
    assert await error_of(rig.submit("work 1")) is None, "its conversation was not freed"
    assert ticket.turn.id not in rig.calls


async def a_sealed_turn_cannot_be_withdrawn(factory: Factory) -> None:
    rig = Rig(factory)
    ticket = rig.submit("keep 2")
    await asyncio.sleep(1)
    assert not ticket.cancel(), "a turn whose reply is being kept was cancelled"
    assert await error_of(ticket) is None
    assert not rig.told_to_stop_after_seal


async def a_reply_that_takes_too_long_to_keep_has_an_unknown_outcome(factory: Factory) -> None:
    rig = Rig(factory)
    ticket = rig.submit("keep 30", deadline_s=1.0)
    ending = await error_of(ticket)
    assert ending is not None
    assert ending.outcome == "unknown"
    assert 1.0 <= ticket.ran_s <= 2.0
    assert not rig.told_to_stop_after_seal


async def a_caller_that_stops_waiting_changes_nothing(factory: Factory) -> None:
    rig = Rig(factory)
    ticket = rig.submit("work 2")
    callers = [asyncio.create_task(ticket.reply()) for _ in range(3)]
    await asyncio.sleep(1)
    callers[0].cancel()
    replies = await asyncio.gather(*callers[1:])
    assert [reply.text for reply in replies] == [ticket.turn.id] * 2
    assert (await ticket.reply()).text == ticket.turn.id, "a late caller got no reply"


async def a_turn_goes_on_though_its_ticket_is_dropped(factory: Factory) -> None:
    rig = Rig(factory)
    turns = [rig.submit("work 1").turn.id, rig.submit("work 1", "other").turn.id]
    gc.collect()
    await asyncio.sleep(5)
    assert rig.kept == {"c": turns[:1], "other": turns[1:]}


async def a_turn_that_has_ended_cannot_be_cancelled(factory: Factory) -> None:
    rig = Rig(factory)
    for message in ("work 1", "raise Exception"):
        ticket = rig.submit(message)
        ending = await error_of(ticket)
        state = ticket.state
        assert not ticket.cancel(), f"it was {state}, and was cancelled"
        assert ticket.state is state
        assert type(await error_of(ticket)) is type(ending)


async def an_error_raised_at_many_callers_is_an_object_of_its_own_for_each(
    factory: Factory,
) -> None:
    rig = Rig(factory)
    ticket = rig.submit("raise Exception")
    errors = await asyncio.gather(*(ticket.reply() for _ in range(3)), return_exceptions=True)
    assert len({id(error) for error in errors}) == 3


async def the_agent_sees_the_context_in_which_its_turn_was_submitted(factory: Factory) -> None:
    rig = Rig(factory)
    for mark in ("a", "b"):
        MARK.set(mark)
        rig.submit("work 1", mark)
    MARK.set("later")
    await asyncio.sleep(5)
    assert rig.marks == ["a", "b"]


async def the_figures_agree_with_each_other_and_with_what_happened(factory: Factory) -> None:
    rig = Rig(factory)
    messages = ("work 3", "raise Exception", "hang", "work 1")
    tickets = [rig.submit(message, message) for message in messages]
    again = [rig.try_submit(message, message) for message in messages]
    accepted = [ticket for ticket in (*tickets, *again) if ticket]
    for _ in range(40):
        load = rig.strategy.load()
        states = [ticket.state for ticket in accepted]
        assert load.accepted == len(accepted)
        assert load.refused == 8 - len(accepted)
        assert load.waiting == states.count(State.WAITING)
        assert load.running == states.count(State.RUNNING)
        assert load.waiting + load.running + sum(load.ended.values()) == load.accepted
        await asyncio.sleep(1)
    assert all(ticket.state in FINAL for ticket in accepted)


async def a_ticket_says_where_its_turn_stands(factory: Factory) -> None:
    rig = Rig(factory)
    running = await rig.occupy(2)
    waiting = rig.try_submit("work 1")
    await asyncio.sleep(1)
    assert (running.state, running.place()) == (State.RUNNING, None)
    if waiting is not None:
        assert waiting.state is State.WAITING
        place = waiting.place()
        assert place is not None, "it waits, and its ticket tells no place"
        assert place.position in (1, None)
        assert (waiting.waited_s, waiting.ran_s) == (1.0, 0.0)
        assert rig.strategy.load().oldest_wait_s == 1.0
        await waiting.reply()
        assert (waiting.waited_s, waiting.ran_s, waiting.place()) == (2.0, 1.0, None)
    await running.reply()
    assert running.ran_s == 2.0


async def a_place_tells_what_is_known_of_the_wait(factory: Factory) -> None:
    rig = Rig(factory)
    await rig.submit("work 2").reply()
    await rig.occupy(2)
    tickets = [ticket for ticket in (rig.try_submit() for _ in range(3)) if ticket]
    for ticket in tickets:
        place = ticket.place()
        if place is not None and place.position is not None:
            assert place.position >= 1, "1 is next"
        if place is not None and place.eta_s is not None and place.range_s is not None:
            low_s, high_s = place.range_s
            assert 0.0 <= low_s <= place.eta_s <= high_s, f"{place} contradicts itself"
        assert (place is None) == (ticket.state is not State.WAITING)


async def a_ticket_has_a_result_once_its_turn_has_ended(factory: Factory) -> None:
    rig = Rig(factory)
    tickets = [rig.submit("work 1", "a"), rig.submit("raise Exception", "b")]
    for ticket in tickets:
        try:
            ticket.result()
            raise AssertionError("a turn that has not ended had a result")
        except asyncio.InvalidStateError:
            pass
    answered, failed = [await error_of(ticket) for ticket in tickets]
    assert answered is None
    assert tickets[0].result() == await tickets[0].reply()
    try:
        tickets[1].result()
        raise AssertionError("a turn that failed had a reply")
    except AgentFailed as error:
        assert failed is not None
        assert (error.outcome, error.state) == (failed.outcome, failed.state)
        assert error is not failed, "an object raised twice grows its traceback"


async def a_callback_is_called_once_and_soon_after_the_end(factory: Factory) -> None:
    rig = Rig(factory)
    seen: list[tuple[str, Ticket, State]] = []

    def note(name: str, done: Ticket) -> None:
        seen.append((name, done, done.state))

    running, dropped = rig.submit("work 2", "a"), rig.submit("work 1", "b")
    for ticket in (running, dropped):
        for name in ("first", "second"):
            ticket.add_done_callback(partial(note, name))
    dropped.cancel()
    assert not seen, "a callback was called by the caller of cancel()"
    await asyncio.sleep(SOON_S)
    assert seen == [("first", dropped, State.CANCELLED), ("second", dropped, State.CANCELLED)]
    await asyncio.sleep(5)
    assert seen[2:] == [("first", running, State.ANSWERED), ("second", running, State.ANSWERED)]
    running.add_done_callback(partial(note, "late"))
    assert len(seen) == 4, "it was called at once, and not by the event loop"
    await asyncio.sleep(SOON_S)
    assert seen[4:] == [("late", running, State.ANSWERED)]


async def a_callback_that_fails_harms_no_turn_and_no_other_callback(factory: Factory) -> None:
    rig = Rig(factory)
    reports: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: reports.append(str(context)))
    seen: list[Ticket] = []
    ticket = rig.submit("work 1")
    ticket.add_done_callback(lambda done: 1 / 0)
    ticket.add_done_callback(seen.append)
    assert await error_of(ticket) is None
    await asyncio.sleep(SOON_S)
    assert seen == [ticket]
    assert len(reports) == 1, "nobody is told of its exception"
    assert await error_of(rig.submit("work 1")) is None


async def a_callback_runs_in_the_context_in_which_it_was_added(factory: Factory) -> None:
    rig = Rig(factory)
    marks: list[str] = []
    ticket = rig.submit("work 1")
    MARK.set("of the caller")
    ticket.add_done_callback(lambda done: marks.append(MARK.get()))
    MARK.set("later")
    await asyncio.sleep(5)
    ticket.add_done_callback(lambda done: marks.append(MARK.get()))
    await asyncio.sleep(SOON_S)
    assert marks == ["of the caller", "later"]


async def draining_refuses_what_comes_and_what_waits_and_lets_what_runs_end(
    factory: Factory,
) -> None:
    rig = Rig(factory)
    running, waiting = await rig.occupy(3), rig.try_submit("work 1")
    await asyncio.sleep(1)
    drain = asyncio.create_task(rig.strategy.drain(TIMEOUT_S))
    await asyncio.sleep(0)
    for late in ("c", "other"):
        try:
            rig.submit("work 1", late)
            raise AssertionError("a turn was accepted though the strategy drains")
        except Draining as refusal:
            assert refusal.outcome == "not_started"
    if waiting is not None:
        assert waiting.state is State.REFUSED, "a waiting turn was not refused at once"
        assert isinstance(await error_of(waiting), Draining)
    await drain
    assert running.state is State.ANSWERED
    assert rig.calls == [running.turn.id]


async def a_turn_that_outlasts_the_drain_is_rolled_back(factory: Factory) -> None:
    rig = Rig(factory)
    hanging, stubborn = rig.submit("hang", "a"), rig.submit("stubborn 60", "b")
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    await rig.strategy.drain(2.0)
    assert asyncio.get_running_loop().time() - began <= 3.0
    for ticket in (hanging, stubborn):
        ending = await error_of(ticket)
        assert isinstance(ending, Draining)
        assert ending.outcome == "rolled_back"


async def draining_does_not_wait_for_an_agent_whose_turn_has_ended(factory: Factory) -> None:
    rig = Rig(factory)
    ticket = rig.submit("stubborn 500", deadline_s=1.0)
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    await rig.strategy.drain(100.0)
    took_s = asyncio.get_running_loop().time() - began
    assert took_s <= 2.0, f"the turn ended after 1 s, the drain after {took_s} s"
    assert isinstance(await error_of(ticket), TurnTimeout)


async def a_second_drain_may_be_in_a_greater_hurry(factory: Factory) -> None:
    for message in ("hang", "stubborn 500"):
        await _drain_twice(Rig(factory, Limits(turn_timeout_s=None)), message)


async def _drain_twice(rig: Rig, message: str) -> None:
    ticket = rig.submit(message)
    await asyncio.sleep(0)
    first = asyncio.create_task(rig.strategy.drain(1_000.0))
    await asyncio.sleep(1)
    await rig.strategy.drain(0.0)
    assert isinstance(await error_of(ticket), Draining)
    await asyncio.wait([first], timeout=2.0)
    assert first.done(), "the first drain goes on though no turn runs"


async def a_refusal_leaves_no_trace_but_its_count(factory: Factory) -> None:
    rig = Rig(factory)
    try:
        rig.submit("work 1", deadline_s=0.0)
        raise AssertionError("a turn was accepted whose deadline had passed")
    except TurnError as refusal:
        assert refusal.outcome == "not_started"
    load = rig.strategy.load()
    assert (load.accepted, load.refused) == (0, 1)
    await asyncio.sleep(1)
    assert rig.calls == []


async def the_constructor_needs_no_event_loop(factory: Factory) -> None:
    errors: list[BaseException] = []

    def make() -> None:
        try:
            Rig(factory)
        except BaseException as error:
            errors.append(error)

    elsewhere = Thread(target=make)
    elsewhere.start()
    elsewhere.join()
    assert not errors, f"the constructor does more than to store and check: {errors[0]!r}"


async def at_rest_nothing_is_left_over(factory: Factory) -> None:
    rig = Rig(factory)
    for number in range(50):
        for _ in range(3):
            ticket = rig.try_submit(("work 1", "raise Exception", "hang")[number % 3], f"c{number}")
            if ticket is not None and number % 5 == 0:
                ticket.cancel()
    await asyncio.sleep(10 * TIMEOUT_S * 50)
    load = rig.strategy.load()
    assert (load.waiting, load.running, load.fenced) == (0, 0, 0)
    left = residue(rig.strategy, {f"c{number}" for number in range(50)})
    assert not left, f"left over in the strategy: {left[:3]}"
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks, f"left over: {tasks}"


PROMISES: tuple[Promise, ...] = (
    one_turn_of_a_conversation_runs_at_once,
    turns_that_wait_start_in_the_order_of_submission,
    conversations_do_not_wait_for_each_other,
    a_flood_of_one_caller_costs_another_no_more_than_the_next_slot,
    urgent_turns_of_one_caller_do_not_overtake_those_of_another,
    one_caller_cannot_fill_the_line_for_all,
    a_reply_is_the_turns_own_with_its_place_in_the_history,
    whatever_the_agent_raises_ends_its_turn_and_frees_its_conversation,
    a_turn_error_of_the_answer_reaches_its_ticket_as_it_is,
    an_answer_without_a_reply_is_a_failure,
    a_failure_after_the_seal_has_an_unknown_outcome,
    a_turn_ends_at_its_time_limit_though_its_agent_hangs,
    a_turn_ends_at_its_own_deadline_while_it_runs,
    a_turn_whose_deadline_passes_while_it_waits_is_never_started,
    an_agent_that_ignores_its_end_keeps_its_conversation_and_no_other,
    a_waiting_turn_that_is_cancelled_never_reaches_the_agent,
    a_running_turn_that_is_cancelled_keeps_nothing,
    a_turn_cancelled_before_its_agent_was_called_did_not_start,
    a_sealed_turn_cannot_be_withdrawn,
    a_reply_that_takes_too_long_to_keep_has_an_unknown_outcome,
    a_caller_that_stops_waiting_changes_nothing,
    a_turn_goes_on_though_its_ticket_is_dropped,
    a_turn_that_has_ended_cannot_be_cancelled,
    an_error_raised_at_many_callers_is_an_object_of_its_own_for_each,
    the_agent_sees_the_context_in_which_its_turn_was_submitted,
    the_figures_agree_with_each_other_and_with_what_happened,
    a_ticket_says_where_its_turn_stands,
    a_place_tells_what_is_known_of_the_wait,
    a_ticket_has_a_result_once_its_turn_has_ended,
    a_callback_is_called_once_and_soon_after_the_end,
    a_callback_that_fails_harms_no_turn_and_no_other_callback,
    a_callback_runs_in_the_context_in_which_it_was_added,
    draining_refuses_what_comes_and_what_waits_and_lets_what_runs_end,
    a_turn_that_outlasts_the_drain_is_rolled_back,
    draining_does_not_wait_for_an_agent_whose_turn_has_ended,
    a_second_drain_may_be_in_a_greater_hurry,
    the_constructor_needs_no_event_loop,
    a_refusal_leaves_no_trace_but_its_count,
    at_rest_nothing_is_left_over,
)
