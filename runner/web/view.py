"""What happens now, told to whoever looks: one text for all who see the same.

While nobody looks there is no view: no observer, no timer, nothing is kept. Whoever comes is told
the whole, and from then on what has changed; so is a reader that was too slow for the changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Sized
from math import inf
from time import thread_time
from typing import Any

from runner.api.exchange import to_json
from runner.api.stream import event
from runner.turns.live_turn import LiveTurn
from runner.turns.observer import Observer
from runner.turns.service import Service
from runner.web.figures import Figures
from runner.web.lines import Lines
from runner.web.marks import Marks
from runner.web.reader import Reader
from runner.web.shapes import Shapes
from runner.web.sight import Sight
from strategies import Turn, TurnError

SOON_S = 0.25
"""At most one text in so many seconds; what happens meanwhile is told together."""

BEAT_S = 1.0
"""At least one while something lives, for clocks and charts, and where other processes may have
something to tell. Percentiles are told so often."""

SHARE = 40
"""All views together take one part in so many of the server's time; then texts are rarer."""

MOST_READERS = 32
"""With one sight, and so of one caller: tabs of the page, and `runner top`."""

READER_S = 0.0001
"""What it takes to send one reader a text. That is done later, and so not measured."""

LIMITS = {"max_running", "max_waiting", "max_waiting_per_caller", "max_waiting_per_conversation"}


class Pace:
    """When the next text may be made.

    It is there before and after a view, or one who comes and goes would have a text each time.
    """

    def __init__(self) -> None:
        self.next_at = 0.0


class View(Observer):
    """What everybody with this sight is shown.

    views  all that there are at any time, this one among them.
    """

    def __init__(
        self, service: Service, sight: Sight, pace: Pace | None = None, views: Sized = ()
    ) -> None:
        self._service = service
        self._pace = pace or Pace()
        self._views = views
        self._sight = sight
        self._shapes = Shapes(sight)
        self._figures = Figures(service, sight)
        self._lines = Lines(service, sight, self._shapes)
        self._marks = Marks(service, sight, self._shapes)
        self._readers: list[Reader] = []
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf
        self._times_at = 0.0
        self._has_begun = self._is_over = False
        self._texts = 0

    # Who looks.

    @property
    def is_full(self) -> bool:
        return len(self._readers) >= MOST_READERS

    def join(self, wake: Callable[[], object]) -> Reader:
        reader = Reader(lambda: self._tell_in(0.0), wake)
        self._readers.append(reader)
        if len(self._readers) == 1:
            self._service.observers.add(self)
        elif self._is_over:
            self.drained()
        return reader

    def leave(self, reader: Reader) -> bool:
        """Whether it was the last."""
        self._readers.remove(reader)
        if self._readers:
            return False
        self._service.observers.remove(self)
        self._stop_timer()
        return True

    # What happens.

    def accepted(self, live: LiveTurn, /) -> None:
        if self._sees(live.turn):
            self._lines.moved(live.turn.conversation)
            self._tell_in(0.0)

    def refused(self, turn: Turn, error: TurnError, /) -> None:
        if self._sight.sees(turn.conversation):  # Nobody else remembers it.
            self._marks.refused(turn, error)
            self._tell_in(0.0)

    def called(self, lives: Sequence[LiveTurn], /) -> None:
        for live in lives:
            self.accepted(live)

    def stopped(self, lives: Sequence[LiveTurn], /) -> None:
        for live in lives:
            if self._lines.stopped(live):
                self._tell_in(0.0)

    def ended(self, live: LiveTurn, /) -> None:
        if self._sees(live.turn):
            self._lines.ended(live)
            self._marks.ended(live)
            self._figures.note(live)
            self._tell_in(0.0)

    def drained(self) -> None:
        self._is_over = True
        self._stop_timer()
        self._tell()
        self._stop_timer()
        for reader in self._readers:
            reader.end()

    def _sees(self, turn: Turn) -> bool:
        """What happens before the first text is in it anyway."""
        return self._has_begun and self._sight.sees(turn.conversation)

    # When it is told.

    def _tell_in(self, seconds: float) -> None:
        """Within so many seconds, or as soon as a text may follow the last one."""
        if self._due <= self._pace.next_at:
            return
        due = max(self._loop.time() + seconds, self._pace.next_at)
        if due < self._due:
            self._stop_timer()
            # Kept here, for what uvloop gives for an instant that is due has no `when`.
            self._due, self._timer = due, self._loop.call_at(due, self._tell)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._due = None, inf

    def _tell(self) -> None:
        self._timer, self._due = None, inf
        began_at, began_s = self._loop.time(), thread_time()
        self._tell_all()
        took_s = thread_time() - began_s
        takes_s = took_s * len(self._views) + READER_S * len(self._readers)
        self._pace.next_at = began_at + max(SOON_S, SHARE * takes_s)
        if self._lines.shown or self._figures.is_late or self._service.system is not None:
            self._tell_in(BEAT_S)

    def _tell_all(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._figures.begin()
            self._lines.begin()
        anew = [reader for reader in self._readers if reader.is_anew]
        if len(anew) < len(self._readers):
            news = self._encode(self._news())
            for reader in self._readers:
                reader.give(news)
        if anew:
            whole = self._encode(self._whole())
            for reader in anew:
                reader.give_whole(whole)

    # What is told.

    def _encode(self, document: dict[str, Any]) -> bytes:
        self._texts += 1
        return event(to_json(document), "view", str(self._texts))

    def _whole(self) -> dict[str, Any]:
        settings, sight = self._service.settings, self._sight
        lines, (marks, marks_left_out) = self._lines.all(), self._marks.past()
        return {
            "whole": True,
            "now": self._shapes.now(),
            "you": {"caller": sight.caller, "everyone": sight.everyone, "texts": sight.texts},
            "strategy": settings.strategy.name,
            "agent_id": settings.agent.id,
            "limits": settings.strategy.model_dump(include=LIMITS),
            **self._figures.now(self._lines.fenced),
            **self._figures.times(),
            "lines": lines,
            "idle": [],
            "marks": marks,
            "left_out": {"lines": self._lines.left_out, "marks": marks_left_out},
        }

    def _news(self) -> dict[str, Any]:
        (lines, idle), (marks, marks_left_out) = self._lines.news(), self._marks.news()
        return {
            "now": self._shapes.now(),
            **self._figures.now(self._lines.fenced),
            **self._times_now_and_then(),
            "lines": lines,
            "idle": idle,
            "marks": marks,
            "left_out": {"lines": self._lines.left_out, "marks": marks_left_out},
        }

    def _times_now_and_then(self) -> dict[str, Any]:
        if not self._figures.is_late or self._loop.time() < self._times_at:
            return {}
        self._times_at = self._loop.time() + BEAT_S
        return self._figures.times()
