"""The conversations that are shown: those with turns that wait or run, or that an agent holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.web.shapes import Line, Named, Shapes, named
from runner.web.sight import Sight

MOST_LINES = 40


class Lines:
    """As many as there is room for, those that were there first; and which of them have changed.

    shown  their names, in order.
    """

    def __init__(self, service: Service, sight: Sight, shapes: Shapes) -> None:
        self._service = service
        self._sight = sight
        self._shapes = shapes
        self._moved: set[str] = set()
        self._fenced: dict[str, dict[str, LiveTurn]] = {}
        self.shown: dict[str, None] = {}

    def begin(self) -> None:
        for live in self._service.fenced():
            if self._sight.sees(live.turn.conversation):
                self.ended(live)

    # What happens to them.

    def moved(self, conversation: str) -> None:
        self._moved.add(conversation)

    def ended(self, live: LiveTurn) -> None:
        self.moved(live.turn.conversation)
        if live.is_at_work:
            self._fenced.setdefault(live.turn.conversation, {})[live.turn.id] = live

    def stopped(self, live: LiveTurn) -> bool:
        """Whether that changes what is shown: its turn had ended before its agent did."""
        fenced = self._fenced.get(live.turn.conversation, {})
        if fenced.pop(live.turn.id, None) is None:
            return False
        if not fenced:
            del self._fenced[live.turn.conversation]
        self.moved(live.turn.conversation)
        return True

    # What is told of them.

    @property
    def fenced(self) -> int:
        return len(self._fenced)

    @property
    def left_out(self) -> int:
        """Lines for which there is no room."""
        if len(self.shown) < MOST_LINES:
            return 0
        return sum(1 for _ in self._living()) - len(self.shown)

    def all(self) -> list[Line]:
        self._choose()
        self._moved.clear()
        return [self._line(one) for one in self.shown]

    def news(self) -> tuple[list[Line], list[Named]]:
        """Those that have changed since, and those that are shown no more."""
        idle = self._choose()
        if self._service.system is not None:
            # What moves in turns of other processes is told to those who wait for them alone.
            self._moved.update(self.shown)
        lines = [self._line(one) for one in self.shown if one in self._moved]
        self._moved.clear()
        return lines, [named(one) for one in idle]

    def _choose(self) -> list[str]:
        """Fill the places that are free; those that were given back, for nothing is there."""
        idle = [one for one in self.shown if not self._turns(one)]
        for one in idle:
            del self.shown[one]
        if len(self.shown) < MOST_LINES:
            for one in self._living():
                if one not in self.shown:
                    self.shown[one] = None
                    self._moved.add(one)
                if len(self.shown) == MOST_LINES:
                    break
        return idle

    def _living(self) -> Iterator[str]:
        yield from self._fenced
        for one in self._service.living_conversations():
            if one not in self._fenced and self._sight.sees(one):
                yield one

    def _turns(self, conversation: str) -> Sequence[LiveTurn]:
        fenced = self._fenced.get(conversation, {}).values()
        return [*fenced, *self._service.line(conversation)]

    def _line(self, conversation: str) -> Line:
        return self._shapes.line(conversation, self._turns(conversation))
