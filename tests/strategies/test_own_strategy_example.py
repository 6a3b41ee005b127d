"""The example of docs/own-strategy.md is a strategy: it keeps every promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from strategies.testing import PROMISES, Promise, explore, run

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "one_seat.py"
ONE_SEAT = runpy.run_path(str(EXAMPLE))["OneSeat"]


@pytest.mark.parametrize("promise", PROMISES)
def test_the_example_of_the_docs_keeps_the_promise(promise: Promise) -> None:
    run(promise(ONE_SEAT))


def test_no_schedule_breaks_the_example_of_the_docs() -> None:
    explore(ONE_SEAT, schedules=300)
