"""Who is told what happens to turns: metrics, traces, the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import structlog

from runner.store.timing import Operation
from runner.turns.live_turn import LiveTurn
from strategies import Turn, TurnError

log = structlog.get_logger(__name__)


class Observer:
    """Is told in the tick in which something happens, and is not to wait or do much there.

    It writes what it has a use for, and inherits the rest. What it raises is logged, and changes
    nothing for the turn.
    """

    def submitting(self, live: LiveTurn, /) -> None:
        """The turn has come, and is accepted or refused next.

        The agent is called in a copy of the context in which this is called.
        """
        return

    def accepted(self, live: LiveTurn, /) -> None:
        """The strategy has taken it; it waits, or runs. In the context of `submitting`."""
        return

    def refused(self, turn: Turn, error: TurnError, /) -> None:
        """It was not taken. In the context of `submitting`."""
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

    def stored(self, operation: Operation, seconds: float, /) -> None:
        """The store has done that, or failed to. In whatever thread it was."""
        return

    async def close(self) -> None:
        """The service is closing, and waits for this: well under a second."""
        return


HOOKS = (
    "submitting", "accepted", "refused", "called", "stopped", "ended", "drained", "stored",
)  # fmt: skip


def _telling(hook: str) -> Callable[..., None]:
    """A method that calls this hook of all who have it."""

    def tell(self: Observers, *about: object) -> None:
        for told in self.hooks[hook]:
            try:
                told(*about)
            except Exception as fault:
                _complain(told, fault)

    return tell


class Observers(Observer):
    """Those who are told, in the order in which they came.

    hooks  what each of `HOOKS` calls: a turn has no cost by who does not want to hear of it.
    """

    def __init__(self) -> None:
        self._all: tuple[Observer, ...] = ()
        self._is_drained = False
        self._look()

    def add(self, observer: Observer) -> None:
        """One that comes after the end is told of it."""
        self._all = (*self._all, observer)
        self._look()
        if self._is_drained:
            observer.drained()

    def remove(self, observer: Observer) -> None:
        self._all = tuple(one for one in self._all if one is not observer)
        self._look()

    submitting = _telling("submitting")
    accepted = _telling("accepted")
    refused = _telling("refused")
    called = _telling("called")
    stopped = _telling("stopped")
    ended = _telling("ended")
    stored = _telling("stored")
    _tell_drained = _telling("drained")

    def drained(self) -> None:
        self._is_drained = True
        self._tell_drained()

    async def close(self) -> None:
        for observer in self._all:
            try:
                await observer.close()
            except Exception as fault:
                _complain(observer.close, fault)

    def _look(self) -> None:
        """Find who has which hook: the others have it from `Observer`, where it does nothing."""
        self.hooks = {hook: tuple(self._having(hook)) for hook in HOOKS}

    def _having(self, hook: str) -> Iterator[Callable[..., None]]:
        for observer in self._all:
            if getattr(type(observer), hook) is not getattr(Observer, hook):
                yield getattr(observer, hook)


def _complain(told: object, fault: Exception) -> None:
    with suppress(Exception):
        log.error("who watches turns failed", watcher=repr(told), exc_info=fault)
