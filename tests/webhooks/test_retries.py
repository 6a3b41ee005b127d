"""When a webhook that was not taken is sent again."""

from __future__ import annotations

import time
from email.utils import formatdate
from itertools import islice

import pytest

from runner.webhooks.retries import asked_for, pauses


def test_pauses_grow_to_an_hour_and_are_never_quite_alike() -> None:
    first, second = (list(islice(pauses(), 14)) for _ in range(2))
    assert first != second
    for pause_s, about_s in zip(first, [5, 10, 20, 40, 80], strict=False):
        assert 0.8 * about_s <= pause_s <= 1.2 * about_s
    assert max(first) <= 1.2 * 3_600


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("", 0), ("120", 120), ("999999999", 3_600), ("-5", 0), ("1.5", 0), ("soon", 0),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("Wed, 99 Oct 99999 07:28:00 GMT", 0)],
)  # fmt: skip
def test_what_a_receiver_asks_for_is_read_and_bounded(said: str, seconds: float) -> None:
    assert asked_for(said) == seconds


def test_a_receiver_may_name_an_instant() -> None:
    assert 50 < asked_for(formatdate(time.time() + 60, usegmt=True)) <= 60
