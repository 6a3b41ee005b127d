"""What happens now, told to whoever looks: one text for all who see the same.

While nobody looks there is no view: no observer, no timer, nothing is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from runner.api.exchange import to_json
from runner.api.stream import event
from runner.turns.live_turn import LiveTurn
from runner.turns.observer import Observer
from runner.turns.service import Service
from runner.web import shapes
from runner.web.figures import Figures
from runner.web.sight import Sight
from strategies import Turn, TurnError

SOON_S = 0.25
"""What happens within so many seconds is told together."""

BEAT_S = 1.0
"""While something lives, the figures are told so often, for clocks and charts."""

MOST_LINES = 40
MOST_MARKS = 200
PAST_S = 60.0

MOST_BEHIND = 8
"""A reader that has not taken so many texts loses them, and is told the whole again."""


class Reader:
    """One who looks. `wake` is called when there is something to `take`."""

    def __init__(self, view: View, wake: Callable[[], object]) -> None:
        self._view = view
        self._wake = wake
        self._texts: list[bytes] = []
        self._is_behind = True
        self.is_over = False

    def give(self, text: bytes) -> None:
        if len(self._texts) == MOST_BEHIND:
            self._texts, self._is_behind = [], True
        if not self._is_behind:
            self._texts.append(text)
        self._wake()

    def take(self) -> bytes:
        """All that is new, perhaps nothing."""
        if self._is_behind:
            text = self._view.whole_text()  # It gives us what others are still to be told.
            self._texts, self._is_behind = [], False
            return text
        texts, self._texts = self._texts, []
        return b"".join(texts)

    def end(self) -> None:
        self.is_over = True
        self._wake()


class View(Observer):
    """What everybody with this sight is shown."""

    def __init__(self, service: Service, sight: Sight) -> None:
        self._service = service
        self._sight = sight
        self._figures = Figures(service, sight)
        self._readers: list[Reader] = []
        self._loop = asyncio.get_running_loop()
        self._epoch = time.time() - self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._lines: dict[str, None] = {}  # Those that are shown, in order.
        self._moved: set[str] = set()
        self._marks: list[shapes.Mark] = []
        self._marks_left_out = 0
        self._texts = 0
        self._times_told_at = 0.0

    # Who looks.

    def join(self, wake: Callable[[], object]) -> Reader:
        if not self._readers:
            self._service.observers.add(self)
        reader = Reader(self, wake)
        self._readers.append(reader)
        return reader

    def leave(self, reader: Reader) -> bool:
        """Whether it was the last."""
        self._readers.remove(reader)
        if self._readers:
            return False
        self._service.observers.remove(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return True

    # As an Observer.

    def accepted(self, live: LiveTurn, /) -> None:
        self._note(live.turn.conversation)

    def called(self, lives: Sequence[LiveTurn], /) -> None:
        for live in lives:
            self._note(live.turn.conversation)

    def ended(self, live: LiveTurn, /) -> None:
        if self._note(live.turn.conversation) and self._has_room():
            self._marks.append(shapes.ended(live, self._sight, self._now()))

    def refused(self, turn: Turn, error: TurnError, /) -> None:
        if self._sight.sees(turn.conversation):
            if self._has_room():
                self._marks.append(shapes.refused(turn, error, self._sight, self._now()))
            self._tell_in(SOON_S)

    def drained(self) -> None:
        for reader in self._readers:
            reader.end()

    def _note(self, conversation: str) -> bool:
        """Whether it is seen."""
        if not self._sight.sees(conversation):
            return False
        self._moved.add(conversation)
        self._tell_in(SOON_S)
        return True

    def _has_room(self) -> bool:
        if len(self._marks) < MOST_MARKS:
            return True
        self._marks_left_out += 1
        return False

    # What is told, and when.

    def _now(self) -> float:
        """Seconds since 1970; setting the clock changes no age."""
        return self._epoch + self._loop.time()

    def _tell_in(self, seconds: float) -> None:
        due = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._tell)

    def _tell(self) -> None:
        self._timer = None
        text = self._encode(self._news())
        for reader in self._readers:
            reader.give(text)
        if self._lines:
            self._tell_in(BEAT_S)

    def whole_text(self) -> bytes:
        """All that can be seen now, and nothing of it is told again."""
        if self._timer is not None:
            self._timer.cancel()
            self._tell()
        return self._encode(self.whole())

    def whole(self) -> dict[str, Any]:
        settings = self._service.settings
        sight = self._sight
        self._choose_lines()
        self._moved.clear()
        marks = self._past()
        if self._lines and self._readers:
            self._tell_in(BEAT_S)
        return {
            "whole": True,
            "now": round(self._now(), 3),
            "you": {"caller": sight.caller, "everyone": sight.everyone, "texts": sight.texts},
            "strategy": settings.strategy.name,
            "agent_id": settings.agent.id,
            "limits": settings.strategy.model_dump(include=LIMITS),
            **self._figures.now(),
            **self._figures.times(),
            "lines": [self._line(one) for one in self._lines],
            "idle": [],
            "marks": marks[:MOST_MARKS],
            "left_out": self._left_out(len(marks) - MOST_MARKS),
        }

    def _news(self) -> dict[str, Any]:
        idle = self._choose_lines()
        moved = [one for one in self._lines if one in self._moved]
        news = {
            "now": round(self._now(), 3),
            **self._figures.now(),
            **self._times_now_and_then(),
            "lines": [self._line(one) for one in moved],
            "idle": [shapes.named(one) for one in idle],
            "marks": self._marks,
            "left_out": self._left_out(self._marks_left_out),
        }
        self._moved.clear()
        self._marks, self._marks_left_out = [], 0
        return news

    def _choose_lines(self) -> list[str]:
        """Show as many as there is room for, in place of those that it gives back: idle now."""
        idle = [one for one in self._lines if not self._service.line(one)]
        for one in idle:
            del self._lines[one]
        for one in self._living():
            if len(self._lines) >= MOST_LINES:
                break
            if one not in self._lines:
                self._lines[one] = None
                self._moved.add(one)
        return idle

    def _living(self) -> Iterator[str]:
        sees = self._sight.sees
        return (one for one in self._service.living_conversations() if sees(one))

    def _line(self, conversation: str) -> shapes.Line:
        lives = self._service.line(conversation)
        return shapes.line(conversation, lives, self._sight, self._now())

    def _past(self) -> list[shapes.Mark]:
        """The latest first."""
        marks: list[shapes.Mark] = []
        for live in self._service.lately_ended(PAST_S):
            if self._sight.sees(live.turn.conversation):
                marks.append(shapes.ended(live, self._sight, self._epoch + live.ended_at))
        return marks

    def _times_now_and_then(self) -> dict[str, Any]:
        """At most once a second: they are of a thousand turns."""
        if self._loop.time() < self._times_told_at + BEAT_S:
            return {}
        self._times_told_at = self._loop.time()
        return self._figures.times()

    def _left_out(self, marks: int) -> dict[str, int]:
        lines = sum(1 for _ in self._living()) - len(self._lines)
        return {"lines": max(lines, 0), "marks": max(marks, 0)}

    def _encode(self, document: dict[str, Any]) -> bytes:
        self._texts += 1
        return event(to_json(document), "view", str(self._texts))


LIMITS = {"max_running", "max_waiting", "max_waiting_per_caller", "max_waiting_per_conversation"}
