"""The conformance kit: every promise in the docstrings of `strategies.base`, one function each.

Each takes a strategy's class, plays one situation in virtual time, and raises
AssertionError where the promise is broken. A strategy may refuse what another
would let wait, or interrupt it; the promises are about what it accepts and goes on with.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from threading import Thread
from typing import Any

from ..base import Attempt, Limits, Reply, Strategy, Ticket, Turn
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
from .stubborn import ignore_cancellation

Factory = Callable[..., Strategy]
Promise = Callable[[Factory], Coroutine[Any, Any, None]]

TIMEOUT_S = 10.0
SOON_S = 0.001
"""Until an agent that was told to stop has."""

LIMITS = Limits(max_running=4, turn_timeout_s=TIMEOUT_S)
FINAL = frozenset(State) - {State.WAITING, State.RUNNING}
MARK: ContextVar[str] = ContextVar("MARK", default="unset")


class House:
    """A strategy with an agent whose turns do what their message says, and what was seen of it.

    `work S` takes S seconds and is kept; `hang` waits for ever; `stubborn S`
    ignores its cancellation for S seconds; `raise NAME` raises; `keep S` seals
    and then takes S seconds to keep its reply; `unsealed S` never seals; `break S`
    fails S seconds after it has kept its reply; `nothing` ends without a reply. Of
    merged turns the first one says what to do; all of them are kept, in order.
    """

    def __init__(self, factory: Factory, limits: Limits = LIMITS) -> None:
        self.calls: list[str] = []
        self.kept: dict[str, list[str]] = {}
        self.inside: dict[str, int] = {}
        self.overlaps: list[str] = []
        self.marks: list[str] = []
        self.told_to_stop_after_seal = False
        self._serial = 0
        self.strategy = factory(self.answer, limits)

    def submit(
        self, message: str, conversation: str = "c", deadline_s: float | None = None
    ) -> Ticket:
        self._serial += 1
        return self.strategy.submit(Turn(f"t{self._serial}", conversation, message, deadline_s))

    def try_submit(self, message: str, conversation: str = "c") -> Ticket | None:
        """None where the strategy lets nothing wait."""
        try:
            return self.submit(message, conversation)
        except TurnError:
            return None

    async def occupy(self, seconds: float, conversation: str = "c") -> Ticket:
        """A turn that runs and cannot be interrupted, for its reply is being kept."""
        ticket = self.submit(f"keep {seconds}", conversation)
        while ticket.turn.id not in self.calls:
            await asyncio.sleep(0)
        return ticket

    async def answer(self, turn: Turn, attempt: Attempt) -> Reply:
        parts = turn.merged or (turn,)
        self.calls += [part.id for part in parts]
        self.marks.append(MARK.get())
        inside = self.inside[turn.conversation] = self.inside.get(turn.conversation, 0) + 1
        if inside > 1:
            self.overlaps.append(turn.id)
        try:
            return await self._act(parts, attempt)
        finally:
            self.inside[turn.conversation] -= 1

    async def _act(self, parts: tuple[Turn, ...], attempt: Attempt) -> Reply:
        verb, _, argument = parts[0].message.partition(" ")
        match verb:
            case "hang":
                await asyncio.Event().wait()
            case "stubborn":
                await ignore_cancellation(float(argument))
            case "raise":
                raise {error.__name__: error for error in ERRORS}[argument]
            case "keep":
                attempt.seal()
                await self._keep_slowly(float(argument))
            case "break":
                attempt.seal()
                await self._keep_slowly(float(argument))
                raise OSError("the connection was lost, who knows when")
            case "nothing":
                return None  # type: ignore[return-value]  # A mistake that is easily made.
            case _:
                await asyncio.sleep(float(argument or 1))
        if verb not in {"keep", "unsealed"}:
            attempt.seal()
        kept = self.kept.setdefault(parts[0].conversation, [])
        kept += [part.id for part in parts]
        return Reply("+".join(part.id for part in parts), len(kept))

    async def _keep_slowly(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.told_to_stop_after_seal = True
            raise


ERRORS: tuple[type[BaseException], ...] = (
    Exception, asyncio.CancelledError, GeneratorExit, StopAsyncIteration, SystemExit,
    KeyboardInterrupt, RecursionError, MemoryError, ServerFull,
)  # fmt: skip


async def _ending(ticket: Ticket) -> TurnError | None:
    try:
        await ticket.reply()
    except TurnError as error:
        return error
    return None


async def one_turn_of_a_conversation_runs_at_once(factory: Factory) -> None:
    house = House(factory)
    tickets = [house.try_submit("work 1") for _ in range(5)]
    await asyncio.gather(*(_ending(ticket) for ticket in tickets if ticket))
    assert house.calls
    assert not house.overlaps, f"these turns ran beside another: {house.overlaps}"


async def turns_that_wait_start_in_the_order_of_submission(factory: Factory) -> None:
    house = House(factory)
    tickets = [await house.occupy(1)]
    tickets += [ticket for ticket in (house.try_submit("work 1") for _ in range(4)) if ticket]
    endings = [await _ending(ticket) for ticket in tickets]
    assert all(ending is None or isinstance(ending, TurnInterrupted) for ending in endings)
    answered = [t.turn.id for t, ending in zip(tickets, endings, strict=True) if ending is None]
    assert house.calls == answered, f"order was {house.calls}"


async def conversations_do_not_wait_for_each_other(factory: Factory) -> None:
    house = House(factory)
    house.submit("hang", "stuck")
    ticket = house.submit("work 1", "other")
    await ticket.reply()
    assert ticket.waited_s == 0, "another conversation's turn made it wait, with slots free"


async def a_reply_is_the_turns_own_with_its_place_in_the_history(factory: Factory) -> None:
    house = House(factory)
    for number in (1, 2, 3):
        ticket = house.submit("work 1")
        reply = await ticket.reply()
        assert (reply.text, reply.number) == (ticket.turn.id, number)
        assert ticket.state is State.ANSWERED


async def whatever_the_agent_raises_ends_its_turn_and_frees_its_conversation(
    factory: Factory,
) -> None:
    house = House(factory)
    for error in set(ERRORS) - {ServerFull}:
        ending = await _ending(house.submit(f"raise {error.__name__}"))
        assert isinstance(ending, AgentFailed), f"{error.__name__} became {ending!r}"
        assert ending.outcome == "rolled_back"
        assert await _ending(house.submit("work 1")) is None, f"no turn after {error.__name__}"


async def a_turn_error_of_the_answer_reaches_its_ticket_as_it_is(factory: Factory) -> None:
    house = House(factory)
    ticket = house.submit("raise ServerFull")
    ending = await _ending(ticket)
    assert type(ending) is ServerFull, f"it became {ending!r}"
    assert ticket.state is ServerFull.state


async def an_answer_without_a_reply_is_a_failure(factory: Factory) -> None:
    house = House(factory)
    ending = await _ending(house.submit("nothing"))
    assert isinstance(ending, AgentFailed), f"it became {ending!r}"
    assert await _ending(house.submit("work 1")) is None, "its conversation was not freed"


async def a_failure_after_the_seal_has_an_unknown_outcome(factory: Factory) -> None:
    house = House(factory)
    ending = await _ending(house.submit("break 0.5"))
    assert isinstance(ending, AgentFailed), f"it became {ending!r}"
    assert ending.outcome == "unknown", "nobody can tell whether the reply was kept"
    assert await _ending(house.submit("work 1")) is None, "its conversation was not freed"


async def a_turn_ends_at_its_time_limit_though_its_agent_hangs(factory: Factory) -> None:
    house = House(factory)
    ticket = house.submit("hang")
    ending = await _ending(ticket)
    assert isinstance(ending, TurnTimeout)
    assert ending.outcome == "rolled_back"
    assert ticket.ran_s == TIMEOUT_S
    assert await _ending(house.submit("work 1")) is None, "its conversation was not freed"


async def a_turn_ends_at_its_own_deadline_while_it_runs(factory: Factory) -> None:
    house = House(factory)
    ticket = house.submit("hang", deadline_s=3.0)
    assert isinstance(await _ending(ticket), TurnTimeout)
    assert ticket.ran_s == 3.0


async def a_turn_whose_deadline_passes_while_it_waits_is_never_started(factory: Factory) -> None:
    house = House(factory)
    await house.occupy(5)
    try:
        late = house.submit("work 1", deadline_s=2.0)
    except TurnError as refusal:
        assert refusal.outcome == "not_started"
        return
    ending = await _ending(late)
    assert ending is not None
    assert ending.outcome == "not_started"
    assert late.waited_s == 2.0
    await asyncio.sleep(20)
    assert late.turn.id not in house.calls, "it was started all the same"


async def an_agent_that_ignores_its_end_keeps_its_conversation_and_no_other(
    factory: Factory,
) -> None:
    house = House(factory)
    stuck = house.submit("stubborn 30", deadline_s=1.0)
    assert isinstance(await _ending(stuck), TurnTimeout)
    assert house.strategy.load().fenced == 1
    after = house.try_submit("work 1")
    assert await _ending(house.submit("work 1", "other")) is None
    if after is not None:
        await after.reply()
    assert not house.overlaps, "the conversation was given away before the agent had stopped"
    await asyncio.sleep(60)
    assert stuck.turn.id not in house.kept["c" if "c" in house.kept else "other"]
    assert house.strategy.load().fenced == 0


async def a_waiting_turn_that_is_cancelled_never_reaches_the_agent(factory: Factory) -> None:
    house = House(factory)
    running = await house.occupy(1)
    waiting = house.try_submit("work 1")
    if waiting is None:
        return
    depth = house.strategy.load().waiting
    assert waiting.cancel()
    assert waiting.state is State.CANCELLED
    assert house.strategy.load().waiting == depth - 1, "it kept its place"
    ending = await _ending(waiting)
    assert isinstance(ending, TurnCancelled)
    assert ending.outcome == "not_started"
    await running.reply()
    await asyncio.sleep(5)
    assert house.calls == [running.turn.id]


async def a_running_turn_that_is_cancelled_keeps_nothing(factory: Factory) -> None:
    house = House(factory)
    ticket = house.submit("work 5")
    await asyncio.sleep(1)
    assert ticket.cancel()
    ending = await _ending(ticket)
    assert isinstance(ending, TurnCancelled)
    assert ending.outcome == "rolled_back"
    assert not ticket.cancel(), "it was cancelled twice"
    await asyncio.sleep(SOON_S)
    assert await _ending(house.submit("work 1")) is None
    assert ticket.turn.id not in house.kept["c"]


async def a_turn_cancelled_before_its_agent_was_called_did_not_start(factory: Factory) -> None:
    house = House(factory)
    ticket = house.submit("work 1")
    assert ticket.cancel()
    ending = await _ending(ticket)
    assert ending is not None
    assert ending.outcome == "not_started"
    await asyncio.sleep(SOON_S)
    assert await _ending(house.submit("work 1")) is None, "its conversation was not freed"
    assert ticket.turn.id not in house.calls


async def a_sealed_turn_cannot_be_withdrawn(factory: Factory) -> None:
    house = House(factory)
    ticket = house.submit("keep 2")
    await asyncio.sleep(1)
    assert not ticket.cancel(), "a turn whose reply is being kept was cancelled"
    assert await _ending(ticket) is None
    assert not house.told_to_stop_after_seal


async def a_reply_that_takes_too_long_to_keep_has_an_unknown_outcome(factory: Factory) -> None:
    house = House(factory)
    ticket = house.submit("keep 30", deadline_s=1.0)
    ending = await _ending(ticket)
    assert ending is not None
    assert ending.outcome == "unknown"
    assert 1.0 <= ticket.ran_s <= 2.0
    assert not house.told_to_stop_after_seal


async def a_caller_that_stops_waiting_changes_nothing(factory: Factory) -> None:
    house = House(factory)
    ticket = house.submit("work 2")
    callers = [asyncio.create_task(ticket.reply()) for _ in range(3)]
    await asyncio.sleep(1)
    callers[0].cancel()
    replies = await asyncio.gather(*callers[1:])
    assert [reply.text for reply in replies] == [ticket.turn.id] * 2
    assert (await ticket.reply()).text == ticket.turn.id, "a late caller got no reply"


async def a_turn_goes_on_though_its_ticket_is_dropped(factory: Factory) -> None:
    house = House(factory)
    turns = [house.submit("work 1").turn.id, house.submit("work 1", "other").turn.id]
    gc.collect()
    await asyncio.sleep(5)
    assert house.kept == {"c": turns[:1], "other": turns[1:]}


async def a_turn_that_has_ended_cannot_be_cancelled(factory: Factory) -> None:
    house = House(factory)
    for message in ("work 1", "raise Exception"):
        ticket = house.submit(message)
        ending = await _ending(ticket)
        state = ticket.state
        assert not ticket.cancel(), f"it was {state}, and was cancelled"
        assert ticket.state is state
        assert type(await _ending(ticket)) is type(ending)


async def an_error_raised_at_many_callers_is_an_object_of_its_own_for_each(
    factory: Factory,
) -> None:
    house = House(factory)
    ticket = house.submit("raise Exception")
    errors = await asyncio.gather(*(ticket.reply() for _ in range(3)), return_exceptions=True)
    assert len({id(error) for error in errors}) == 3


async def the_agent_sees_the_context_in_which_its_turn_was_submitted(factory: Factory) -> None:
    house = House(factory)
    for mark in ("a", "b"):
        MARK.set(mark)
        house.submit("work 1", mark)
    MARK.set("later")
    await asyncio.sleep(5)
    assert house.marks == ["a", "b"]


async def the_figures_agree_with_each_other_and_with_what_happened(factory: Factory) -> None:
    house = House(factory)
    messages = ("work 3", "raise Exception", "hang", "work 1")
    tickets = [house.submit(message, message) for message in messages]
    again = [house.try_submit(message, message) for message in messages]
    accepted = [ticket for ticket in (*tickets, *again) if ticket]
    for _ in range(40):
        load = house.strategy.load()
        states = [ticket.state for ticket in accepted]
        assert load.accepted == len(accepted)
        assert load.refused == 8 - len(accepted)
        assert load.waiting == states.count(State.WAITING)
        assert load.running == states.count(State.RUNNING)
        assert load.waiting + load.running + sum(load.ended.values()) == load.accepted
        await asyncio.sleep(1)
    assert all(ticket.state in FINAL for ticket in accepted)


async def a_ticket_says_where_its_turn_stands(factory: Factory) -> None:
    house = House(factory)
    running = await house.occupy(2)
    waiting = house.try_submit("work 1")
    await asyncio.sleep(1)
    assert (running.state, running.position, running.eta_s) == (State.RUNNING, 0, 0.0)
    if waiting is not None:
        assert waiting.state is State.WAITING
        assert waiting.position in (1, None)
        assert (waiting.waited_s, waiting.ran_s) == (1.0, 0.0)
        assert house.strategy.load().oldest_wait_s == 1.0
        await waiting.reply()
        assert (waiting.waited_s, waiting.ran_s, waiting.position) == (2.0, 1.0, 0)
    await running.reply()
    assert running.ran_s == 2.0


async def draining_refuses_what_comes_and_what_waits_and_lets_what_runs_end(
    factory: Factory,
) -> None:
    house = House(factory)
    running, waiting = await house.occupy(3), house.try_submit("work 1")
    await asyncio.sleep(1)
    drain = asyncio.create_task(house.strategy.drain(TIMEOUT_S))
    await asyncio.sleep(0)
    for late in ("c", "other"):
        try:
            house.submit("work 1", late)
            raise AssertionError("a turn was accepted though the strategy drains")
        except Draining as refusal:
            assert refusal.outcome == "not_started"
    if waiting is not None:
        assert waiting.state is State.REFUSED, "a waiting turn was not refused at once"
        assert isinstance(await _ending(waiting), Draining)
    await drain
    assert running.state is State.ANSWERED
    assert house.calls == [running.turn.id]


async def a_turn_that_outlasts_the_drain_is_rolled_back(factory: Factory) -> None:
    house = House(factory)
    hanging, stubborn = house.submit("hang", "a"), house.submit("stubborn 60", "b")
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    await house.strategy.drain(2.0)
    assert asyncio.get_running_loop().time() - began <= 3.0
    for ticket in (hanging, stubborn):
        ending = await _ending(ticket)
        assert isinstance(ending, Draining)
        assert ending.outcome == "rolled_back"


async def draining_does_not_wait_for_an_agent_whose_turn_has_ended(factory: Factory) -> None:
    house = House(factory)
    ticket = house.submit("stubborn 500", deadline_s=1.0)
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    await house.strategy.drain(100.0)
    took_s = asyncio.get_running_loop().time() - began
    assert took_s <= 2.0, f"the turn ended after 1 s, the drain after {took_s} s"
    assert isinstance(await _ending(ticket), TurnTimeout)


async def a_second_drain_may_be_in_a_greater_hurry(factory: Factory) -> None:
    for message in ("hang", "stubborn 500"):
        await _drain_twice(House(factory, Limits(turn_timeout_s=None)), message)


async def _drain_twice(house: House, message: str) -> None:
    ticket = house.submit(message)
    await asyncio.sleep(0)
    first = asyncio.create_task(house.strategy.drain(1_000.0))
    await asyncio.sleep(1)
    await house.strategy.drain(0.0)
    assert isinstance(await _ending(ticket), Draining)
    await asyncio.wait([first], timeout=2.0)
    assert first.done(), "the first drain goes on though no turn runs"


async def a_refusal_leaves_no_trace_but_its_count(factory: Factory) -> None:
    house = House(factory)
    try:
        house.submit("work 1", deadline_s=0.0)
        raise AssertionError("a turn was accepted whose deadline had passed")
    except TurnError as refusal:
        assert refusal.outcome == "not_started"
    load = house.strategy.load()
    assert (load.accepted, load.refused) == (0, 1)
    await asyncio.sleep(1)
    assert house.calls == []


async def the_constructor_needs_no_event_loop(factory: Factory) -> None:
    errors: list[BaseException] = []

    def make() -> None:
        try:
            House(factory)
        except BaseException as error:
            errors.append(error)

    elsewhere = Thread(target=make)
    elsewhere.start()
    elsewhere.join()
    assert not errors, f"the constructor does more than to store and check: {errors[0]!r}"


async def at_rest_nothing_is_left_over(factory: Factory) -> None:
    house = House(factory)
    for number in range(50):
        for _ in range(3):
            ticket = house.try_submit(
                ("work 1", "raise Exception", "hang")[number % 3], f"c{number}"
            )
            if ticket is not None and number % 5 == 0:
                ticket.cancel()
    await asyncio.sleep(10 * TIMEOUT_S * 50)
    load = house.strategy.load()
    assert (load.waiting, load.running, load.fenced) == (0, 0, 0)
    left = residue(house.strategy, {f"c{number}" for number in range(50)})
    assert not left, f"left over in the strategy: {left[:3]}"
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks, f"left over: {tasks}"


PROMISES: tuple[Promise, ...] = (
    one_turn_of_a_conversation_runs_at_once,
    turns_that_wait_start_in_the_order_of_submission,
    conversations_do_not_wait_for_each_other,
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
    draining_refuses_what_comes_and_what_waits_and_lets_what_runs_end,
    a_turn_that_outlasts_the_drain_is_rolled_back,
    draining_does_not_wait_for_an_agent_whose_turn_has_ended,
    a_second_drain_may_be_in_a_greater_hurry,
    the_constructor_needs_no_event_loop,
    a_refusal_leaves_no_trace_but_its_count,
    at_rest_nothing_is_left_over,
)
