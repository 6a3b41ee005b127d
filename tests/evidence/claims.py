"""What the policies promise, as quick checks over a strategy's factory, in virtual time.

A check returns its claims, and whether each holds. `test_power` calls it with our classes,
where all hold, and with broken ones, where at least one does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import cycle, islice
from statistics import fmean
from typing import Any

from loadtests.measures.figures import main_figures
from loadtests.simulation.simulate import simulate
from strategies import Limits, State, Ticket, TurnError
from strategies.testing import Factory, Rig, error_of, run
from tests.evidence import subject
from tests.evidence.support import workload

Claims = dict[str, bool]
Check = Callable[[Factory], Coroutine[Any, Any, Claims]] | Callable[[Factory], Claims]


def broken(check: Check, factory: Factory) -> list[str]:
    """The claims that do not hold."""
    found = check(factory)
    claims = found if isinstance(found, dict) else run(found)
    return [claim for claim, holds in claims.items() if not holds]


async def warm_rig(
    factory: Factory, *services_s: float, max_wait_s: float | None = None, slots: int = 1
) -> Rig:
    """One that has answered turns of these service times, or twenty of one second."""
    limits = Limits(max_running=slots, turn_timeout_s=None, max_wait_s=max_wait_s)
    rig = Rig(factory, limits)
    for each in services_s or [1.0] * 20:
        await rig.submit(f"work {each}").reply()
    return rig


async def answered(ticket: Ticket) -> bool:
    return await error_of(ticket) is None


def near(value: float | None, expected: float, within: float = 0.02) -> bool:
    return value is not None and abs(value - expected) <= within * expected


def hint(error: TurnError | None) -> float | None:
    return error.retry_after_s if error else None


def refused(rig: Rig, message: str = "work 1", **more: Any) -> TurnError | None:
    try:
        rig.submit(message, **more)
    except TurnError as error:
        return error
    return None


# Queue: slots and lines.


async def no_more_turns_run_than_there_are_slots(factory: Factory) -> Claims:
    rig = await warm_rig(factory, slots=2)
    tickets = [rig.submit("work 1", str(number)) for number in range(5)]
    await asyncio.sleep(0.5)
    running = rig.strategy.load().running
    await asyncio.gather(*map(answered, tickets))
    return {"two at once, and not more": running == 2}


async def slots_go_round_the_lines(factory: Factory) -> Claims:
    rig = await warm_rig(factory)
    for number in range(15):
        rig.submit(f"work 1 {number}", "hot")
    await asyncio.sleep(0.5)
    quiet = [rig.submit("work 1", f"quiet {number}") for number in range(3)]
    await asyncio.gather(*map(answered, quiet))
    waits = sorted(ticket.waited_s for ticket in quiet)
    return {"a flood delays the others by one turn": waits == [0.5, 1.5, 2.5]}


async def a_line_is_served_in_order(factory: Factory) -> Claims:
    rig = Rig(factory, Limits(max_running=1))
    rig.submit("work 1", id="first")
    ids = [f"turn {number}" for number in range(5)]
    tickets: list[Ticket] = []
    for each in ids:
        await asyncio.sleep(0.1)
        tickets.append(rig.submit("work 1", id=each))
    for ticket in tickets:
        await answered(ticket)
    return {"turns of a conversation run in order of arrival": rig.calls == ["first", *ids]}


async def a_place_says_when_the_turn_starts(factory: Factory) -> Claims:
    rig = await warm_rig(factory)
    for number in range(4):
        rig.submit(f"work 1 {number}")
    last = rig.submit("work 1")
    await asyncio.sleep(0.5)
    place = last.place()
    await answered(last)
    eta_s = place.eta_s if place else None
    return {"it starts when it was said": near(eta_s, last.waited_s - 0.5, 0.1)}


# Queue: a told deadline.


async def a_told_deadline_decides_the_start(factory: Factory) -> Claims:
    async def starts(deadline_s: float, *services_s: float) -> bool:
        rig = await warm_rig(factory, *services_s)
        rig.submit("work 1")
        waits = rig.submit("hang", deadline_s=1.0 + deadline_s)
        await error_of(waits)
        return waits.turn.id in rig.calls

    mixed = list(islice(cycle([1.0, 2.0, 3.0]), 60))
    return {
        "what cannot end in time is not started": not await starts(0.5),
        "what would end just at its deadline is not started": not await starts(1.02),
        "what ends shortly before it is started": await starts(1.1),
        "a third of the answers for more than half the work is not worth it": not await starts(
            1.5, *mixed
        ),
        "with the time of all of them left it starts": await starts(3.2, *mixed),
    }


async def an_expiry_tells_when_to_come_again(factory: Factory) -> Claims:
    rig = await warm_rig(factory, *[1.0] * 19, 5.0)
    rig.submit("work 4")
    late = rig.submit("work 1", deadline_s=3.0)
    began = asyncio.get_running_loop().time()
    error = await error_of(late)
    waited_s = asyncio.get_running_loop().time() - began
    return {
        "a waiting turn ends at its deadline": near(waited_s, 3.0),
        "and hears a mean service time": near(hint(error), 1.2),
    }


async def max_wait_s_is_for_those_who_tell_no_deadline(factory: Factory) -> Claims:
    rig = await warm_rig(factory, max_wait_s=2.0)
    rig.submit("work 5")
    silent, told = rig.submit("work 1"), rig.submit("work 1", deadline_s=12.0)
    await error_of(silent)
    return {
        "a silent one waits no longer": silent.state is State.EXPIRED and silent.waited_s == 2.0,
        "one that tells a deadline does": await answered(told),
    }


# Queue: nothing told.


async def silent_clients_are_shed_in_a_standing_queue_alone(factory: Factory) -> Claims:
    rig = await warm_rig(factory)
    burst = [rig.submit(f"work 1 {number}") for number in range(12)]
    for number in range(6):  # Some come after it, before it has ended.
        await asyncio.sleep(2.0)
        burst.append(rig.submit(f"work 1 after it {number}"))
    all_answered = all([await answered(ticket) for ticket in burst])
    tickets: list[Ticket] = []
    for number in range(200):
        with suppress(TurnError):
            tickets.append(rig.submit(f"work 1 more {number}"))
        await asyncio.sleep(0.5)
    late = [ticket.waited_s for ticket in tickets if await answered(ticket)][60:]
    return {
        "a burst is answered": all_answered,
        "in a standing queue nobody waits long": bool(late) and max(late) <= 12.0,
        "and the agent is not idle": len(late) > 20,
    }


async def the_patience_of_those_who_left_is_learned(factory: Factory) -> Claims:
    """Two clients a second, who leave after 1.7 service times."""
    rig = await warm_rig(factory)
    served: list[bool] = []

    async def client(number: int) -> None:
        try:
            ticket = rig.submit(f"work 1 {number}")
        except TurnError:
            return
        try:
            async with asyncio.timeout(1.7):
                served.append(await answered(ticket))
        except TimeoutError:
            if ticket.state is State.WAITING:
                ticket.cancel()

    clients: list[asyncio.Task[None]] = []
    for number in range(200):
        clients.append(asyncio.create_task(client(number)))
        await asyncio.sleep(0.5)
    await asyncio.gather(*clients)
    return {"nearly all of its work is for somebody": sum(served) > 80}


async def those_who_stayed_count_too(factory: Factory) -> Claims:
    """Forty wait for three seconds, five leave after two and a half."""
    rig = await warm_rig(factory)
    for _ in range(40):
        rig.submit("work 3")
        await answered(rig.submit("work 1"))
    for _ in range(5):
        rig.submit("work 3")
        leaves = rig.submit("work 1")
        await asyncio.sleep(2.5)
        leaves.cancel()
        await asyncio.sleep(1.0)
    rig.submit("work 2")
    waits = rig.submit("work 1")
    return {"a few who leave speak for few": await answered(waits)}


# Queue: retries.


async def a_known_retry_waits_only_if_it_starts_soon(factory: Factory) -> Claims:
    rig = await warm_rig(factory)
    for number in range(8):
        rig.submit(f"work 1 {number}", deadline_s=60.0)
    await error_of(rig.submit("work 1 again", deadline_s=5.0))
    for number in range(5):
        rig.submit(f"work 1 more {number}", deadline_s=60.0)
    error = refused(rig, "work 1 again", deadline_s=10.0)
    return {
        "it is sent back with the time to wait": near(hint(error), 8.0, 0.2),
        "others are not": refused(rig, "work 1 new", deadline_s=10.0) is None,
        "nor is one that has the time": refused(rig, "work 1 again", deadline_s=60.0) is None,
    }


def under_overload_it_serves_more_in_time_than_lock(factory: Factory) -> Claims:
    return {
        name: _in_time(factory, name) > _in_time("lock", name) + more
        for name, more in (
            ("told backoff 2 one lognormal", 0.1),
            ("silent give-up 2 one exponential", 0.2),
            ("leaves backoff 2 one lognormal", 0.1),
        )
    }


def _in_time(strategy: Factory | str, name: str) -> float:
    """Over three seeds."""
    made = [workload(name, seed) for seed in (1, 2, 3)]
    if not isinstance(strategy, str):
        subject.strategy, strategy = strategy, subject.NAME
    runs = [simulate(strategy, each, chain=False) for each in made]
    return fmean(main_figures(*both)["in_time"] for both in zip(runs, made, strict=True))


# Reject.


async def reject_says_no_and_when_to_come_again(factory: Factory) -> Claims:
    rig = await warm_rig(factory, 2.0)
    rig.submit("work 2")
    await asyncio.sleep(0.5)
    error = refused(rig)
    return {
        "nothing waits": error is not None,
        "the hint is the rest of the running turn": near(hint(error), 1.5),
        "another conversation is free": refused(rig, conversation="d") is None,
    }


QUEUE: tuple[Check, ...] = (
    no_more_turns_run_than_there_are_slots,
    slots_go_round_the_lines,
    a_line_is_served_in_order,
    a_place_says_when_the_turn_starts,
    a_told_deadline_decides_the_start,
    an_expiry_tells_when_to_come_again,
    max_wait_s_is_for_those_who_tell_no_deadline,
    silent_clients_are_shed_in_a_standing_queue_alone,
    the_patience_of_those_who_left_is_learned,
    those_who_stayed_count_too,
    a_known_retry_waits_only_if_it_starts_soon,
    under_overload_it_serves_more_in_time_than_lock,
)
LOCK: tuple[Check, ...] = (a_line_is_served_in_order,)
REJECT: tuple[Check, ...] = (reject_says_no_and_when_to_come_again,)
ALL: dict[str, tuple[Check, ...]] = {"queue": QUEUE, "lock": LOCK, "reject": REJECT}
"""Of each strategy its checks, the quick ones first."""
