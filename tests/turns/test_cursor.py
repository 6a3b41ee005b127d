"""What a client has seen, from the id of its last event, if its turn can have given that id."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.agents.base import Told
from runner.store.base import AcceptedTurn, Ending
from runner.turns.events import Cursor, Event
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


# Events that are no text, between the pieces.

A, B = Told("tool_call", b'{"id":"a"}'), Told("usage", b"{}")
SAID = st.lists(st.one_of(st.text("xyz", min_size=1, max_size=3), st.sampled_from([A, B])))


def flat(events: Iterable[Event]) -> list[object]:
    """Each character and each event, however they were joined."""
    found: list[object] = []
    for event in events:
        found += [*event.text] if event.told is None else [event.told]
    return found


@given(said=SAID, read=st.sets(st.integers(0, 20)), ends=st.booleans())
def test_a_cursor_resumed_after_any_event_tells_exactly_the_rest(
    said: list[str | Told], read: set[int], ends: bool
) -> None:
    """However fast its reader was, and wherever the agent is by now."""

    async def live() -> None:
        live, cursor, told = LiveTurn(Turn("t", "c", "m")), Cursor(), list[Event]()
        live.call()
        for place, piece in enumerate(said):
            live.say(piece)
            if place in read:
                told += cursor.all_new(live)
        text = "".join(piece for piece in said if isinstance(piece, str))
        if ends:
            live.stop()
            live.end(Ending(State.ANSWERED, text, 1))
        told += cursor.all_new(live)
        assert flat(told) == [one for piece in said for one in flat([as_event(piece)])]
        assert len({event.id for event in told}) == len(told)
        for place, event in enumerate(told):
            rest = [*Cursor.after(event.id, live).all_new(live)]
            assert flat(rest) == flat(told[place + 1 :])

    run(live())


def as_event(piece: str | Told) -> Event:
    if isinstance(piece, str):
        return Event("", "delta", piece)
    return Event("", "told", told=piece)


@pytest.mark.parametrize("last_id", ["1.4-3", "1.0-1", "1.8-1", "1.8", "1.4-0", "1.4-01"])
def test_an_id_with_other_events_than_were_told_means_start_from_the_beginning(
    last_id: str,
) -> None:
    """Or those to come would be passed over."""

    async def live() -> None:
        live = at_work()
        live.say(A)
        live.say(B)
        live.say("two ")
        whole = ["queued", "started", "delta", "told", "told", "delta"]
        assert told(live, last_id) == whole
        assert told(live, "1.4-2") == ["delta"]
        assert told(live, "1.4") == ["told", "told", "delta"]

    run(live())


@pytest.mark.parametrize(("last_id", "rest"), [("1.3-2", ["delta", "end"]), ("1.7-5", ["end"])])
def test_after_a_restart_nobody_can_tell_how_many_events_there_were(
    last_id: str, rest: list[str]
) -> None:
    async def live() -> None:
        assert told(kept(ANSWERED, 1), last_id) == rest

    run(live())
