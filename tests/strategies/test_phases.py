"""The table of a run: what may happen in which phase."""

from __future__ import annotations

import asyncio

import pytest

from strategies import Turn
from strategies.phases import (
    CALL,
    INTERRUPT,
    LOSE,
    OUTCOME,
    SEAL,
    STOP,
    WITHDRAW,
    WRITE_OFF,
    Event,
    Phase,
    Run,
)

EVENTS = {
    "call": CALL, "interrupt": INTERRUPT, "seal": SEAL, "withdraw": WITHDRAW, "lose": LOSE,
    "write off": WRITE_OFF, "stop": STOP,
}  # fmt: skip


def run_after(*events: Event) -> Run:
    run = Run(Turn("t1", "c", "hi"), [], 0.0)
    for event in events:
        assert run.move(event)
    return run


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.STOPPED])
def test_every_phase_but_the_last_can_be_left_and_leads_to_it(phase: Phase) -> None:
    reached = {phase}
    for _ in Phase:
        reached |= {event[one] for event in EVENTS.values() for one in reached if one in event}
    assert Phase.STOPPED in reached
    assert len(reached) > 1


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_a_run_that_has_stopped_moves_no_more(event: Event) -> None:
    assert not run_after(CALL, STOP).move(event)


def test_a_reply_that_is_being_kept_can_be_lost_and_not_withdrawn() -> None:
    for before in ([CALL, SEAL], [CALL, INTERRUPT, SEAL]):
        assert not run_after(*before).move(WITHDRAW)
        assert not run_after(*before).move(INTERRUPT)
        assert run_after(*before).move(LOSE)


def test_only_one_of_seal_and_withdrawal_happens() -> None:
    withdrawn = run_after(CALL, WITHDRAW)
    with pytest.raises(asyncio.CancelledError):
        withdrawn.seal()
    sealed = run_after(CALL)
    sealed.seal()
    assert not sealed.move(WITHDRAW)


def test_an_attempt_is_interrupted_from_then_on_though_it_has_sealed() -> None:
    async def answer(attempt: Run) -> None:
        assert not attempt.interrupted
        assert attempt.move(INTERRUPT)
        assert attempt.interrupted
        attempt.seal()
        assert attempt.interrupted

    async def scenario() -> None:
        attempt = run_after(CALL)
        attempt.task = asyncio.create_task(answer(attempt))
        await attempt.task

    asyncio.run(scenario())


@pytest.mark.parametrize("event", [WITHDRAW, LOSE], ids=["withdraw", "lose"])
def test_wherever_a_turn_can_be_ended_its_outcome_is_known(event: Event) -> None:
    assert event.keys() <= OUTCOME.keys()
