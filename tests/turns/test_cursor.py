"""What a client has seen, from the id of its last event, if its turn can have given that id."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.store.base import AcceptedTurn, Ending
from runner.turns.events import Cursor
from runner.turns.live_turn import LiveTurn
from strategies import State, Turn
from strategies.testing import run

ANSWERED = Ending(State.ANSWERED, "one two", 1)
FAILED = Ending(State.FAILED, cause="AgentFailed", detail="It failed.", outcome="rolled_back")
WHOLE = ["queued", "started", "delta", "end"]


def told(live: LiveTurn, last_id: str) -> list[str]:
    return [event.kind for event in Cursor.after(last_id, live).all_new(live)]


def at_work() -> LiveTurn:
    live = LiveTurn(Turn("t", "c", "m"))
    live.call()
    live.say("one ")
    return live


def answered() -> LiveTurn:
    live = at_work()
    live.stop()
    live.end(ANSWERED)
    return live


def kept(ending: Ending | None, attempts: int) -> LiveTurn:
    """As another process finds it in the store."""
    row = AcceptedTurn("t", "c", "m", accepted_at=0.0, ending=ending, attempts=attempts)
    return LiveTurn.from_kept(row, 0.0)


@pytest.mark.parametrize(
    "last_id",
    ["1e", "2e", "0e", "1.5", "1.999999999999", "2.0", "0.0", "0.1", "2w0", "-1", "1.-1", "01.0",
     "1.00", "1.0 ", " 1.0", "1 .0", "1.0, 1.1", "+1.0", "1.0\n", "1_0.0", "\u0661.0", "1.\u00b2",
     "\uff11.0", "9" * 400, "1." + "9" * 400, "e", ".", "w", "1", "0w"],
)  # fmt: skip
def test_an_id_that_the_turn_cannot_have_given_means_start_from_the_beginning(last_id: str) -> None:
    async def live() -> None:
        assert told(at_work(), last_id) == ["queued", "started", "delta"]

    run(live())


@pytest.mark.parametrize("last_id", ["0e", "2e", "1.8", "2.0"])
def test_that_holds_for_a_turn_that_has_ended_too(last_id: str) -> None:
    async def live() -> None:
        assert told(answered(), last_id) == WHOLE
        assert told(kept(ANSWERED, 1), last_id) == WHOLE

    run(live())


@pytest.mark.parametrize(
    ("last_id", "rest"),
    [("0w3", ["started", "delta", "end"]), ("1.0", ["delta", "end"]), ("1.3", ["delta", "end"]),
     ("1.7", ["end"]), ("1e", [])],
)  # fmt: skip
def test_what_comes_after_an_id_of_the_turn_is_told(last_id: str, rest: list[str]) -> None:
    async def live() -> None:
        assert told(answered(), last_id) == rest
        assert told(kept(ANSWERED, 1), last_id) == rest

    run(live())


@pytest.mark.parametrize(
    ("make", "rest"),
    [(lambda: kept(FAILED, 1), ["end"]), (lambda: kept(None, 1), ["position"])],
    ids=["that failed", "that runs again"],
)
def test_a_place_in_a_text_that_is_lost_is_believed(
    make: Callable[[], LiveTurn], rest: list[str]
) -> None:
    """What was said before a restart is kept with a reply only, so nobody can check it."""

    async def live() -> None:
        assert told(make(), "1.57") == rest

    run(live())


def test_the_end_of_an_earlier_attempt_is_not_the_end_of_the_turn() -> None:
    """A stream that a shutdown ended, of a turn that the next process runs."""

    async def live() -> None:
        again = kept(None, 1)
        again.call()
        again.say("one ")
        assert told(again, "1e") == ["queued", "started", "delta"]

    run(live())
