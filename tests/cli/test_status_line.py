"""The line of a terminal that says how things stand."""

from __future__ import annotations

import io

from runner.cli.status import StatusLine
from tests.support.client import until


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_is_written_again_while_one_waits() -> None:
    screen = Screen()
    StatusLine(screen).show(lambda after_s: f"left: {3 - after_s:.0f} s")
    until(lambda: "left: 3 s" in screen.getvalue(), "it is there at once", limit_s=0.5)
    until(lambda: "left: 2 s" in screen.getvalue(), "it counts down")


def test_what_is_cleared_does_not_come_back() -> None:
    screen = Screen()
    line = StatusLine(screen)
    line.show(lambda after_s: "first")
    line.clear()
    line.show(lambda after_s: f"second {after_s:.0f}")
    until(lambda: "second 1" in screen.getvalue(), "the second is written again")
    assert screen.getvalue().count("first") == 1


def test_nothing_is_written_where_there_is_no_terminal() -> None:
    pipe = io.StringIO()
    line = StatusLine(pipe)
    line.show(lambda after_s: "words")
    line.clear()
    assert pipe.getvalue() == ""
