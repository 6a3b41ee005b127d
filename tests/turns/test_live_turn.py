"""The table of a turn's life: what may happen when, and nothing else."""

from __future__ import annotations

from itertools import product

import pytest

from runner.store.base import Ending
from runner.turns.live_turn import NEXT, Event, LiveTurn, Phase
from strategies import State, Turn
from strategies.testing import run

ENDING = Ending(State.ANSWERED, "a reply", 1)
WAY: dict[Phase, tuple[Event, ...]] = {
    Phase.WAITING: (),
    Phase.RUNNING: ("call",),
    Phase.STOPPED: ("call", "stop"),
    Phase.FENCED: ("call", "end"),
    Phase.ENDED: ("end",),
}
EVENTS: tuple[Event, ...] = ("call", "stop", "end")


def happen(live: LiveTurn, event: Event) -> None:
    match event:
        case "call":
            live.call()
        case "stop":
            live.stop()
        case "end":
            live.end(ENDING)


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, EVENTS)))
def test_an_event_leads_to_the_phase_of_the_table_or_is_a_bug(phase: Phase, event: Event) -> None:
    async def live() -> None:
        turn = LiveTurn(Turn("t", "c", "m"))
        for earlier in WAY[phase]:
            happen(turn, earlier)
        assert turn.phase is phase
        if (phase, event) in NEXT:
            happen(turn, event)
            assert turn.phase is NEXT[phase, event]
        else:
            with pytest.raises(AssertionError, match=f"cannot {event}"):
                happen(turn, event)
            assert turn.phase is phase

    run(live())


@pytest.mark.parametrize("phase", Phase)
def test_there_is_an_ending_exactly_where_the_turn_has_ended(phase: Phase) -> None:
    async def live() -> None:
        turn = LiveTurn(Turn("t", "c", "m"))
        for event in WAY[phase]:
            happen(turn, event)
        assert (turn.ending is not None) == (phase in (Phase.FENCED, Phase.ENDED))

    run(live())


def test_what_a_fenced_agent_says_is_not_heard() -> None:
    async def live() -> None:
        turn = LiveTurn(Turn("t", "c", "m"))
        turn.call()
        turn.say("before")
        turn.end(Ending(State.CANCELLED, cause="TurnCancelled"))
        turn.say("after")
        assert str(turn.text) == "before"

    run(live())
