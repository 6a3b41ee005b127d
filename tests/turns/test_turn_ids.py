"""Ids of turns."""

from __future__ import annotations

import time

from runner.turns.turn_ids import made_at, new_id


def test_an_id_says_when_it_was_made() -> None:
    before = int(time.time())
    assert before <= made_at(new_id()) <= time.time()


def test_no_two_are_the_same() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000
