"""Everything in memory: gone when the process ends, and bounded while it lasts."""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from sys import getsizeof

from runner.agents.base import Message
from runner.store.base import AcceptedTurn, Ending, Record, StoreUnavailable
from runner.store.history import History
from strategies import State

Kept = tuple[str, str, int, str, str, float, str]
"""A turn: message, reply, number, id, conversation, when it was committed, state.

A plain tuple of texts and numbers: the garbage collector does not look at it again.
"""

TURN_BYTES = 250
"""What a turn weighs beside its texts: its tuple, its places in the tables, its numbers."""

MOST_AT_ONCE = 256
"""Turns of a conversation that are dropped in one step; moving up the rest costs time, too."""

MOST_NUMBERS = 10_000
"""Conversations without a turn left, of which the last number is still known."""

END_OF_NAMES = "\U0010ffff"


class _Past:
    """One conversation's turns; `first` is the number of the oldest."""

    __slots__ = ("first", "turns")

    def __init__(self, first: int) -> None:
        self.first = first
        self.turns: list[Kept] = []


class MemoryStore:
    """Keeps everything in dictionaries; for tests, and for agents whose past does not matter.

    No method awaits anything: each is one step, and nobody sees half of one. Over
    `most_turns` or `most_bytes`, the oldest turns go, first those of the conversation
    that was used longest ago. The turn that was committed last stays.
    """

    durable = False

    def __init__(self, most_turns: int = 1_000_000, most_bytes: int = 2**28) -> None:
        self._most_turns = most_turns
        self._most_bytes = most_bytes
        self._bytes = 0
        self._pasts: OrderedDict[str, _Past] = OrderedDict()  # Used longest ago first.
        self._names: list[str] = []  # Of `_pasts`, sorted.
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._committed: dict[str, Kept] = {}
        self._accepted: dict[str, AcceptedTurn] = {}
        self._answered: dict[str, str] = {}  # Accepted turns: the turn that was committed for it.
        self._ended = 0  # How many of the accepted.

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    # History.

    def history(self, conversation: str, turns: int | None = None) -> History:
        if conversation in self._pasts:
            self._pasts.move_to_end(conversation)
        return History(self, conversation, turns)

    def span(self, conversation: str) -> tuple[int, int]:
        past = self._pasts.get(conversation)
        return (1, 0) if past is None else (past.first, past.first + len(past.turns) - 1)

    def read(self, conversation: str, first: int, last: int) -> Sequence[Kept]:
        past = self._pasts.get(conversation)
        turns = past.turns[first - past.first : last + 1 - past.first] if past else []
        # In another thread, what was dropped meanwhile may have moved the others up.
        if len(turns) != last + 1 - first or turns[0][2] != first:
            raise StoreUnavailable("Turns were dropped from memory while they were read.")
        return turns

    async def messages(self, conversation: str, count: int = 0) -> list[Message]:
        return History(self, conversation)[-count:]

    async def commit(self, record: Record) -> int:
        if record.turn_id in self._committed:
            raise StoreUnavailable(f"Turn {record.turn_id} is in the history already.")
        past = self._pasts.get(record.conversation) or self._begin(record.conversation)
        number = past.first + len(past.turns)
        turn = (
            record.message, record.reply, number, record.turn_id,
            record.conversation, time.time(), record.state.value,
        )  # fmt: skip
        past.turns.append(turn)
        self._pasts.move_to_end(record.conversation)
        self._committed[record.turn_id] = turn
        self._bytes += _weight(turn)
        if self._accepted:
            for turn_id in record.answers or (record.turn_id,):
                if self._end(turn_id, Ending(record.state, number=number)):
                    self._answered[turn_id] = record.turn_id
        while self._is_full() and len(self._committed) > 1:
            self._drop()
        return number

    def _begin(self, conversation: str) -> _Past:
        past = self._pasts[conversation] = _Past(self._numbers.pop(conversation, 0) + 1)
        insort(self._names, conversation)
        return past

    def _is_full(self) -> bool:
        return len(self._committed) > self._most_turns or self._bytes > self._most_bytes

    def _drop(self) -> None:
        """Drop the oldest turns of the conversation that was used longest ago."""
        conversation, past = next(iter(self._pasts.items()))
        # An eighth at once: to take one by one from the front of a long list costs its length.
        count = max(1, min(len(past.turns) // 8, MOST_AT_ONCE))
        for turn in past.turns[:count]:
            self._bytes -= _weight(turn)
            del self._committed[turn[3]]
        if count < len(past.turns):
            past.first += count
            del past.turns[:count]
            return
        self._numbers[conversation] = self._remove(conversation).turns[-1][2]
        if len(self._numbers) > MOST_NUMBERS:
            self._numbers.popitem(last=False)

    def _remove(self, conversation: str) -> _Past:
        del self._names[bisect_left(self._names, conversation)]
        return self._pasts.pop(conversation)

    async def turns(self, conversation: str) -> int:
        return self.span(conversation)[1]

    async def conversations(
        self, prefix: str, limit: int, without: str | None = None
    ) -> tuple[Mapping[str, int], int]:
        first = bisect_left(self._names, prefix)
        names = self._names[first : bisect_left(self._names, prefix + END_OF_NAMES)]
        if without is not None:
            names = [name for name in names if without not in name[len(prefix) :]]
        return {name: self.span(name)[1] for name in names[: limit or None]}, len(names)

    async def forget(self, conversation: str) -> None:
        self._numbers.pop(conversation, None)
        if conversation in self._pasts:
            for turn in self._remove(conversation).turns:
                self._bytes -= _weight(turn)
                del self._committed[turn[3]]
        ended = [turn for turn in self._accepted.values() if turn.ending is not None]
        for accepted in ended:
            if accepted.conversation == conversation:
                self._forget(accepted.id)

    # Accepted turns.

    async def accept(self, turn: AcceptedTurn) -> None:
        self._accepted[turn.id] = turn

    async def begin(self, turn_ids: Sequence[str]) -> None:
        for turn_id in turn_ids:
            if turn_id not in self._accepted:
                raise StoreUnavailable(outcome="not_started")
        for turn_id in turn_ids:
            turn = self._accepted[turn_id]
            self._accepted[turn_id] = replace(turn, attempts=turn.attempts + 1)

    async def end(self, turn_id: str, ending: Ending) -> None:
        self._end(turn_id, ending)

    def _end(self, turn_id: str, ending: Ending) -> bool:
        turn = self._accepted.get(turn_id)
        if turn is None or turn.ending is not None:
            return False
        # Without its texts: the history has them, and is what the bounds are for.
        self._accepted[turn_id] = replace(turn, message="", ending=ending)
        self._ended += 1
        return True

    def _forget(self, turn_id: str) -> None:
        del self._accepted[turn_id]
        self._answered.pop(turn_id, None)
        self._ended -= 1

    async def find(self, turn_id: str) -> AcceptedTurn | None:
        turn = self._accepted.get(turn_id)
        committed = self._committed.get(self._answered.get(turn_id, turn_id))
        if turn is None:
            return committed and _found(committed)
        if turn.ending is None or not turn.ending.number:
            return turn
        # Where its reply was dropped, the turn is gone too.
        return committed and replace(turn, ending=replace(turn.ending, reply=committed[1]))

    async def unfinished(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.ending is None]

    async def keyed(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.key is not None]

    async def prune(self, before: float, most: int) -> None:
        surplus, old = self._ended - most, list[str]()
        for turn in self._accepted.values():
            if turn.ending is None:
                continue
            if len(old) >= surplus and turn.accepted_at >= before:
                break
            old.append(turn.id)
        for turn_id in old:
            self._forget(turn_id)


def _found(turn: Kept) -> AcceptedTurn:
    _, reply, number, turn_id, conversation, committed_at, state = turn
    ending = Ending(State(state), reply, number)
    return AcceptedTurn(turn_id, conversation, "", committed_at, ending=ending)


def _weight(turn: Kept) -> int:
    message, reply, _, turn_id, *_ = turn
    return TURN_BYTES + getsizeof(message) + getsizeof(reply) + getsizeof(turn_id)
