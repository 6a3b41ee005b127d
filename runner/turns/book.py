"""The turns that this process knows: those that live, and for a while those that have ended."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator

from runner.turns.live import LiveTurn


class Book:
    """Finds turns by their id, by their conversation, and those that are watched.

    keep_s         seconds that an ended turn is kept.
    most_kept_chars  the ended turns together; the one that ended first goes first.
    """

    def __init__(self, keep_s: float, most_kept_chars: int = 2**24) -> None:
        self._keep_s = keep_s
        self._most_kept_chars = most_kept_chars
        self._kept_chars = 0
        self._living: dict[str, LiveTurn] = {}
        self._lines: dict[str, dict[str, LiveTurn]] = {}
        self._ended: OrderedDict[str, LiveTurn] = OrderedDict()
        self._watched: dict[str, list[LiveTurn]] = {}

    def add(self, live: LiveTurn) -> None:
        self._living[live.turn.id] = live
        self._lines.setdefault(live.turn.conversation, {})[live.turn.id] = live

    def get(self, turn_id: str) -> LiveTurn | None:
        self._drop_old()
        return self._living.get(turn_id) or self._ended.get(turn_id)

    def living(self, conversation: str) -> list[LiveTurn]:
        """The conversation's turns that have not ended, in order of acceptance."""
        return list(self._lines.get(conversation, {}).values())

    def conversations(self) -> Iterator[str]:
        """Those with a turn that has not ended."""
        return iter(self._lines)

    def move(self, live: LiveTurn) -> None:
        """The turn has ended."""
        del self._living[live.turn.id]
        line = self._lines[live.turn.conversation]
        del line[live.turn.id]
        if not line:
            del self._lines[live.turn.conversation]
        self._ended[live.turn.id] = live
        self._kept_chars += _chars(live)
        self._drop_old()

    def forget(self, conversation: str) -> None:
        """Drop the ended turns of a conversation."""
        for live in [*self._ended.values()]:
            if live.turn.conversation == conversation:
                self._drop(live)

    def _drop_old(self) -> None:
        before = asyncio.get_running_loop().time() - self._keep_s
        while self._ended:
            first = next(iter(self._ended.values()))
            if self._kept_chars <= self._most_kept_chars and first.ended_at >= before:
                return
            self._drop(first)

    def _drop(self, live: LiveTurn) -> None:
        del self._ended[live.turn.id]
        self._kept_chars -= _chars(live)

    # Only who is watched need be told that its line has moved.

    def watch(self, live: LiveTurn) -> None:
        self._watched.setdefault(live.turn.conversation, []).append(live)

    def unwatch(self, live: LiveTurn) -> None:
        watched = self._watched[live.turn.conversation]
        watched.remove(live)
        if not watched:
            del self._watched[live.turn.conversation]

    def line_moved(self, conversation: str) -> None:
        """Tell those that watch a turn of this conversation that its place may have changed."""
        for live in self._watched.get(conversation, ()):
            live.pulse.beat()


def _chars(live: LiveTurn) -> int:
    """What a kept turn weighs, its own objects included."""
    return 1_000 + len(live.turn.message) + len(live.said)
