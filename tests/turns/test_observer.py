"""Who watches turns is told what it wants to hear, and can do no harm."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from runner.turns.live_turn import LiveTurn
from runner.turns.observer import HOOKS, Observer, Observers
from strategies import Turn

LIVE = LiveTurn(Turn("t1", "c", "hello"))


class Listener(Observer):
    """Hears of acceptances and of the end."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def accepted(self, live: LiveTurn, /) -> None:
        self.heard.append(live)

    def drained(self) -> None:
        self.heard.append("drained")


class Faulty(Listener):
    def accepted(self, live: LiveTurn, /) -> None:
        raise ZeroDivisionError

    async def close(self) -> None:
        raise ZeroDivisionError


def watched(*all_: Observer) -> Observers:
    observers = Observers()
    for one in all_:
        observers.add(one)
    return observers


def test_one_that_raises_is_logged_and_the_others_are_told() -> None:
    first, last = Listener(), Listener()
    observers = watched(first, Faulty(), last)
    with capture_logs() as logged:
        observers.accepted(LIVE)
    assert first.heard == last.heard == [LIVE]
    (line,) = logged
    assert (line["log_level"], type(line["exc_info"])) == ("error", ZeroDivisionError)
    assert "Faulty.accepted" in line["watcher"]


def test_one_that_cannot_close_is_logged() -> None:
    with capture_logs() as logged:
        asyncio.run(watched(Faulty(), Listener()).close())
    assert len(logged) == 1


def test_who_is_removed_is_told_nothing_more() -> None:
    first, last = Listener(), Listener()
    observers = watched(first, last)
    observers.remove(first)
    observers.accepted(LIVE)
    assert (first.heard, last.heard) == ([], [LIVE])


def test_who_comes_after_the_end_is_told_of_it() -> None:
    observers = watched()
    observers.drained()
    late = Listener()
    observers.add(late)
    assert late.heard == ["drained"]


def test_a_hook_that_nobody_has_calls_nobody() -> None:
    listener = Listener()
    hooks = watched(listener).hooks
    assert {hook for hook in hooks if hooks[hook]} == {"accepted", "drained"}


def test_each_hook_of_an_observer_is_told() -> None:
    others = {"close"}
    assert {name for name in vars(Observer) if not name.startswith("_")} - others == set(HOOKS)
