"""Who is told what happens to turns: metrics, traces, the page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import structlog

from runner.turns.live_turn import LiveTurn
from strategies import Turn, TurnError

log = structlog.get_logger(__name__)


class Observer:
    """Is told in the tick in which something happens, and is not to wait or do much there.

    It writes what it has a use for, and inherits the rest. What it raises is logged, and changes
    nothing for the turn.
    """

    def submitting(self, live: LiveTurn, /) -> None:
        """The strategy is about to be given the turn.

        The agent is called in a copy of the context in which this is called.
        """
        return

    def accepted(self, live: LiveTurn, /) -> None:
        """The strategy has taken it; it waits, or runs. In the context of `submitting`."""
        return

    def refused(self, turn: Turn, error: TurnError, /) -> None:
        """It was not taken. In the context of `submitting`, if that was called."""
        return

    def called(self, lives: Sequence[LiveTurn], /) -> None:
        """The agent is about to be called for these, several where they were merged.

        In the context in which the agent is called.
        """
        return

    def stopped(self, lives: Sequence[LiveTurn], /) -> None:
        """The agent has really stopped, and a reply is kept, or nothing is. In that context."""
        return

    def ended(self, live: LiveTurn, /) -> None:
        """What became of it is in `live.ending`, and its clients are told."""
        return

    def drained(self) -> None:
        """The server ends: no turn runs any more, and none comes."""
        return


class Observers(Observer):
    """Those who are told, in the order in which they came."""

    def __init__(self) -> None:
        self._all: tuple[Observer, ...] = ()
        self._drained = False

    def add(self, observer: Observer) -> None:
        """One that comes after the end is told of it."""
        self._all = (*self._all, observer)
        if self._drained:
            observer.drained()

    def remove(self, observer: Observer) -> None:
        self._all = tuple(one for one in self._all if one is not observer)

    def submitting(self, live: LiveTurn, /) -> None:
        self._tell("submitting", live)

    def accepted(self, live: LiveTurn, /) -> None:
        self._tell("accepted", live)

    def refused(self, turn: Turn, error: TurnError, /) -> None:
        self._tell("refused", turn, error)

    def called(self, lives: Sequence[LiveTurn], /) -> None:
        self._tell("called", lives)

    def stopped(self, lives: Sequence[LiveTurn], /) -> None:
        self._tell("stopped", lives)

    def ended(self, live: LiveTurn, /) -> None:
        self._tell("ended", live)

    def drained(self) -> None:
        self._drained = True
        self._tell("drained")

    def _tell(self, what: str, *about: object) -> None:
        for observer in self._all:
            try:
                getattr(observer, what)(*about)
            except Exception as fault:
                with suppress(Exception):
                    log.error("who watches turns failed", watcher=repr(observer), exc_info=fault)
