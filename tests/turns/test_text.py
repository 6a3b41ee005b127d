"""The growing text of a reply: readers at any place, before and after its end."""

from __future__ import annotations

import pytest

from runner.turns.text import GrowingText


def grown(*pieces: str) -> GrowingText:
    text = GrowingText()
    for piece in pieces:
        text.add(piece)
    return text


@pytest.mark.parametrize("is_over", [False, True])
def test_a_reader_is_given_what_comes_after_its_place_and_of_how_many_pieces(
    is_over: bool,
) -> None:
    text = grown("one ", "two ", "three")
    if is_over:
        text.become("one two three")
    assert text.since(0) == ("one two three", 3)
    assert text.since(4) == ("two three", 2)
    assert text.since(6) == ("o three", 2)
    assert text.since(8) == ("three", 1)
    assert text.since(13) == ("", 0)
    assert text.since(99) == ("", 0)
    assert (str(text), len(text)) == ("one two three", 13)


def test_a_reply_that_did_not_come_in_pieces_is_one() -> None:
    text = GrowingText()
    text.become("all at once")
    assert text.since(0) == ("all at once", 1)


def test_nothing_was_said() -> None:
    text = GrowingText()
    text.become("")
    assert text.since(0) == ("", 0)


def test_it_weighs_what_it_takes_in_memory() -> None:
    """I-27: an emoji is one character and four bytes."""
    text = grown("\U0001f600" * 1000)
    text.become(str(text))
    assert 4_000 < text.bytes < 5_000
