"""How often does a turn start between the times that its ticket told? `pytest -s` shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log
from random import Random
from statistics import fmean, median
from typing import Any

import pytest

from strategies import Limits, State, Ticket
from strategies.queue import Queue
from strategies.testing import Rig, run
from tests.strategies.places import place_of

MEAN_S = 2.0
SLOTS = 4
LOAD = 0.8
CONVERSATIONS = 12
TURNS = 10_000
SIGMA = 0.8

SERVICES: dict[str, Callable[[Random], float]] = {
    "lognormal": lambda rng: rng.lognormvariate(log(MEAN_S) - SIGMA**2 / 2, SIGMA),
    "exponential": lambda rng: rng.expovariate(1 / MEAN_S),
    "constant": lambda rng: MEAN_S,
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a waiting turn's ticket said at submission, and what came of it."""

    waited_s: float
    eta_s: float
    low_s: float
    high_s: float


async def listen(service: str, seed: int, callers: str = "") -> list[Told]:
    """Turns come at random; one in seven that wait is cancelled after a while, some are urgent.

    Of several callers the first asks for most of them.
    """
    rng = Random(seed)
    told: list[tuple[Ticket, float, tuple[float, float]]] = []
    loop = asyncio.get_running_loop()

    def give_up(ticket: Ticket) -> None:
        if ticket.state is State.WAITING:
            ticket.cancel()

    rig = Rig(Queue, Limits(max_running=SLOTS, max_wait_s=inf, turn_timeout_s=None))
    for _ in range(TURNS):
        await asyncio.sleep(rng.expovariate(LOAD * SLOTS / MEAN_S))
        number = rng.randrange(CONVERSATIONS)
        caller = callers[number % len(callers)] if callers and number % 2 else callers[:1]
        conversation = f"c{number}"
        priority = rng.choice((3, 3, 3, 3, 3, 3, 1, 5))
        message = f"unsealed {SERVICES[service](rng)!r}"
        # Nobody's patience is to be learned from those who are cancelled.
        more: dict[str, Any] = {"priority": priority, "caller": caller, "deadline_s": inf}
        ticket = rig.submit(message, conversation, **more)
        place = ticket.place()
        if place is not None and place.eta_s is not None and place.range_s is not None:
            told.append((ticket, place.eta_s, place.range_s))
            if rng.random() < 1 / 7:
                loop.call_later(rng.expovariate(1 / 4), give_up, ticket)
    await rig.strategy.drain(1_000)
    return [
        Told(ticket.waited_s, eta_s, *range_s)
        for ticket, eta_s, range_s in told
        if ticket.state is State.ANSWERED
    ]


def show(service: str, told: list[Told]) -> float:
    """Print one row; the share of the turns that started in the range."""
    inside = fmean(one.low_s - 1e-9 <= one.waited_s <= one.high_s + 1e-9 for one in told)
    above = fmean(one.waited_s > one.high_s + 1e-9 for one in told)
    high = median(one.high_s / one.eta_s for one in told if one.eta_s > 0)
    waited_s, eta_s = fmean(one.waited_s for one in told), fmean(one.eta_s for one in told)
    error_s = fmean(abs(one.waited_s - one.eta_s) for one in told)
    print(
        f"\n| {service} | {len(told)} | {inside:.2f} | {1 - inside - above:.2f} | {above:.2f} "
        f"| {high:.1f} | {waited_s:.2f} | {eta_s:.2f} | {error_s:.2f} |",
        end="",
    )
    return inside


@pytest.mark.slow
@pytest.mark.parametrize("service", SERVICES)
def test_a_turn_starts_in_the_range_that_it_was_told_with_a_chance_of_80_percent(
    service: str,
) -> None:
    told = run(listen(service, seed=1))
    assert all(0.0 <= one.low_s <= one.eta_s <= one.high_s for one in told)
    assert median(one.high_s / one.eta_s for one in told if one.eta_s > 0) < 3
    share = show(service, told)
    # Where all turns take the same time the ranges are too narrow; docs/strategies.md says why.
    assert (0.70 if service != "constant" else 0.55) <= share <= 0.92


@pytest.mark.slow
def test_the_range_holds_where_callers_share_the_slots() -> None:
    told = run(listen("exponential", seed=1, callers="abc"))
    assert 0.70 <= show("exponential, three callers", told) <= 0.92


def test_the_range_narrows_with_what_is_measured_and_is_nothing_once_started() -> None:
    async def scenario() -> None:
        rig = Rig(Queue)
        running, unknown = rig.submit(), rig.submit()
        assert running.place() is None
        assert place_of(unknown).range_s is None
        await running.reply()
        widths: list[float] = []
        for _ in range(2, 30):
            waiting = rig.submit()
            low_s, high_s = place_of(waiting).range_s or (0.0, 0.0)
            widths.append(high_s - low_s)
            await unknown.reply()
            unknown = waiting
        assert widths[0] > 0.5
        assert widths[-1] < 0.01

    run(scenario())
