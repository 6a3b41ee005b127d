"""Answers that were wrong: each is told here as it must be (7 to 12 of what was found)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.events import Stream, text_of
from tests.support.server import Server

TELLER = "tests.support.agents:teller"


@pytest.mark.parametrize(
    "last_id", ["1e", "2e", "1.500", "9.5", "-1", "1.99999999999999999999", "1 .5", "x"]
)
def test_a_last_event_id_that_is_none_of_the_turns_starts_from_the_beginning(
    telling: Server, last_id: str
) -> None:
    """`1e`, the end, was answered with an empty stream though the turn still ran."""
    turn = telling.ask("1 0 hang", "strange")
    try:
        with Stream(telling.port, turn=turn) as stream:
            stream.until("delta")
        with Stream(telling.port, turn=turn, after=last_id) as again:
            assert (again.status, again.until("started").id) == (200, "1.0")
            assert again.until("delta").data["text"] == "piece 0, "
    finally:
        telling.cancel(turn)


def test_the_last_event_id_of_another_turns_end_hides_nothing(telling: Server) -> None:
    ended = telling.ask("1 0", "other")
    with Stream(telling.port, turn=ended) as stream:
        last_id = stream.rest()[-1].id
    turn = telling.ask("5 0.05", "this")
    with Stream(telling.port, turn=turn, after=last_id) as stream:
        events = stream.rest()
    assert text_of(events) == events[-1].data["response"]


# What the tests of this file share.


@pytest.fixture(scope="module")
def telling(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its agent says what it is asked for, piece by piece."""
    with Server(tmp_path_factory.mktemp("telling"), target=TELLER) as running:
        yield running
