"""The turns that this process knows: those that live, and for a while those that have ended."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from sys import getsizeof

from runner.callers import caller_of, owns
from runner.fair_bound import FairBound
from runner.turns.content import Content
from runner.turns.live_turn import LiveTurn
from strategies import State, Turn

OWN_BYTES = 1_000
"""What an ended turn weighs beside its texts."""

OWN_TOLD_BYTES = 250
"""What an event weighs beside its data."""


class KnownTurns:
    """Finds turns by their id and by their conversation.

    keep_s      seconds that an ended turn is kept.
    most        ended turns at most; first goes the oldest of who keeps most (see `fair_bound`).
    most_bytes  that they weigh together, their texts included.
    most_asked  bytes of what one caller asks by turns that live.
    outcomes    how turns have ended, by their caller and their state.
    """

    def __init__(
        self, keep_s: float, most: int = 10_000, most_bytes: int = 2**25, most_asked: int = 2**26
    ) -> None:
        self._keep_s = keep_s
        self._bound: FairBound[str] = FairBound(most, most_bytes)
        self._most_asked = most_asked
        self._asked: dict[str, int] = {}
        self.outcomes: Counter[tuple[str, State]] = Counter()
        self._living: dict[str, LiveTurn] = {}
        self._lines: dict[str, dict[str, LiveTurn]] = {}
        self._ended: OrderedDict[str, LiveTurn] = OrderedDict()
        self._ended_of: dict[str, set[str]] = {}  # Of conversations: the turns.
        self._fenced: list[LiveTurn] = []
        self._watchers: dict[str, list[Callable[[], object]]] = {}
        self._looks: list[set[str]] = []

    def has_room(self, turn: Turn) -> bool:
        """Whether its caller may ask it now. Whoever has no turn may, whatever it asks."""
        asked = self._asked.get(turn.caller, 0)
        return not asked or asked + _weight_asked(turn) <= self._most_asked

    def add(self, live: LiveTurn) -> None:
        """The turn was accepted."""
        live.weight = _weight_asked(live.turn)
        self._asked[live.turn.caller] = self._asked.get(live.turn.caller, 0) + live.weight
        self._living[live.turn.id] = live
        self._lines.setdefault(live.turn.conversation, {})[live.turn.id] = live
        for begun in self._looks:
            begun.add(live.turn.conversation)
        self.line_moved(live.turn.conversation)

    @contextmanager
    def noting_begun(self) -> Generator[set[str]]:
        """The conversations in which a turn is accepted meanwhile."""
        begun: set[str] = set()
        self._looks.append(begun)
        try:
            yield begun
        finally:
            # Not `remove`, which would take one that is equal.
            self._looks = [one for one in self._looks if one is not begun]

    def living(self, turn_id: str) -> LiveTurn | None:
        return self._living.get(turn_id)

    def get(self, turn_id: str) -> LiveTurn | None:
        self._drop_old()
        return self._living.get(turn_id) or self._ended.get(turn_id)

    def all_living(self) -> Iterable[LiveTurn]:
        return self._living.values()

    def line(self, conversation: str) -> list[LiveTurn]:
        """The conversation's turns that have not ended, in order of acceptance."""
        return list(self._lines.get(conversation, {}).values())

    def of_caller(self, caller: str) -> list[LiveTurn]:
        """The caller's turns that have not ended, in order of acceptance."""
        return [live for live in self._living.values() if owns(caller, live.turn.conversation)]

    def conversations(self) -> Iterator[str]:
        """Those with a turn that has not ended."""
        return iter(self._lines)

    def ended(self, live: LiveTurn) -> None:
        """The turn has ended, and is kept for those who ask again."""
        conversation = live.turn.conversation
        del self._living[live.turn.id]
        if asked := self._asked.pop(live.turn.caller) - live.weight:
            self._asked[live.turn.caller] = asked
        line = self._lines[conversation]
        del line[live.turn.id]
        if not line:
            del self._lines[conversation]
        self._ended[live.turn.id] = live
        self._ended_of.setdefault(conversation, set()).add(live.turn.id)
        if live.is_at_work:
            self._fenced = [*self.fenced(), live]
        caller = caller_of(conversation)
        assert live.ending is not None
        if live.counts:
            self.outcomes[caller, live.ending.state] += 1
        live.weight += _weight_answered(live)
        self._bound.add(caller, live.turn.id, live.weight)
        self._drop_old()
        while (surplus := self._bound.surplus()) is not None:
            self._drop(self._ended[surplus])
        self.line_moved(conversation)

    def fenced(self) -> list[LiveTurn]:
        """Those that have ended, however long ago, and whose agent has not stopped."""
        return [live for live in self._fenced if live.is_at_work]

    def lately_ended(self, within_s: float, caller: str | None = None) -> Iterator[LiveTurn]:
        """Those that ended within so many seconds and are still kept, the latest first.

        caller  whose alone; None for everybody's.
        """
        since = asyncio.get_running_loop().time() - within_s
        for turn_id in reversed(self._ended) if caller is None else self._bound.latest(caller):
            live = self._ended[turn_id]
            if live.ended_at < since:
                return
            yield live

    def forget(self, conversation: str) -> None:
        """Drop the ended turns of a conversation."""
        for turn_id in [*self._ended_of.get(conversation, ())]:
            self._drop(self._ended[turn_id])

    def _drop_old(self) -> None:
        before = asyncio.get_running_loop().time() - self._keep_s
        while self._ended:
            first = next(iter(self._ended.values()))
            if first.ended_at >= before:
                return
            self._drop(first)

    def _drop(self, live: LiveTurn) -> None:
        del self._ended[live.turn.id]
        conversation = live.turn.conversation
        of_conversation = self._ended_of[conversation]
        of_conversation.remove(live.turn.id)
        if not of_conversation:
            del self._ended_of[conversation]
        caller = caller_of(conversation)
        self._bound.remove(caller, live.turn.id, live.weight)

    @contextmanager
    def watching(self, live: LiveTurn, watcher: Callable[[], object]) -> Generator[None]:
        """Call it whenever something about the turn has changed, its place in the line too."""
        conversation = live.turn.conversation
        watchers = self._watchers.setdefault(conversation, [])
        watchers.append(watcher)
        live.listeners.append(watcher)
        try:
            yield
        finally:
            live.listeners.remove(watcher)
            watchers.remove(watcher)
            if not watchers:
                del self._watchers[conversation]

    def line_moved(self, conversation: str) -> None:
        """Tell those who watch that the turns of this conversation may have other places."""
        for watcher in self._watchers.get(conversation, ()):
            watcher()


def _weight_answered(live: LiveTurn) -> int:
    weight = OWN_BYTES + live.text.bytes
    if live.told:
        weight += sum(OWN_TOLD_BYTES + len(told.data) for _, told in live.told)
    if (ending := live.ending) is not None:
        weight += len(ending.output or b"") + len(ending.requests or b"")
    return weight


def _weight_asked(turn: Turn) -> int:
    weight = getsizeof(turn.message)
    return weight + turn.more.bytes if isinstance(turn.more, Content) else weight
