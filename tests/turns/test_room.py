"""What a turn asks is held until it ends, and has a bound for each caller."""

from __future__ import annotations

import pytest

from runner.agents.base import FilePart
from runner.agents.requests import Decision
from runner.store.base import Ending
from runner.turns.content import Content
from runner.turns.known_turns import KnownTurns
from runner.turns.live_turn import LiveTurn
from strategies import State, Turn

ENDED = Ending(State.ANSWERED, "reply", 1)
LONG = "x" * 600
PART = FilePart(type="file", name="a", media_type="text/plain", data="x" * 4_000)


def turn(name: str, message: str = LONG, caller: str = "", more: Content | None = None) -> Turn:
    return Turn(name, f"{caller}/c", message, caller=caller, more=more)


def known() -> KnownTurns:
    return KnownTurns(60.0, most_asked=1_000)


def test_whoever_has_no_turn_may_ask_whatever_it_is() -> None:
    assert known().has_room(turn("t", "x" * 2_000))


async def test_a_caller_has_room_again_when_its_turn_has_ended() -> None:
    turns, live = known(), LiveTurn(turn("t"))
    turns.add(live)
    assert not turns.has_room(turn("u"))
    assert turns.has_room(turn("u", "short"))
    live.end(ENDED)
    turns.ended(live)
    assert turns.has_room(turn("u"))


async def test_an_agent_that_changes_what_it_was_given_costs_its_caller_no_room() -> None:
    turns, metadata = known(), {"a": "x" * 4_000}
    live = LiveTurn(turn("t", more=Content(metadata=metadata)))
    turns.add(live)
    metadata.clear()
    live.end(ENDED)
    turns.ended(live)
    turns.add(LiveTurn(turn("u", "x")))
    assert turns.has_room(turn("v", "short"))


def test_what_one_caller_asks_takes_no_room_from_another() -> None:
    turns = known()
    turns.add(LiveTurn(turn("t", caller="ann")))
    assert turns.has_room(turn("u", caller="bob"))


@pytest.mark.parametrize(
    "more",
    [
        Content(parts=(PART,)),
        Content(metadata={"a": "x" * 4_000}),
        Content(resume={"r1": Decision(True, ["x" * 4_000])}),
    ],
    ids=["parts", "metadata", "answers"],
)
def test_what_is_asked_besides_the_text_counts_too(more: Content) -> None:
    turns = KnownTurns(60.0, most_asked=5_000)
    turns.add(LiveTurn(turn("t", "", more=more)))
    assert not turns.has_room(turn("u"))
