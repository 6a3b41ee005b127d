"""Everything in memory: gone when the process ends, and bounded while it lasts."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from sys import getsizeof

from runner.agents.base import Message
from runner.store.base import AcceptedTurn, Ending, NothingKept, Record, StoreUnavailable
from runner.store.history import History
from strategies import State

Kept = tuple[str, str, str, str, int, float, str, tuple[str, ...]]
"""A turn: message, reply, id, conversation, number, when it was committed, state, `answers`.

A plain tuple of texts and numbers: the garbage collector does not look at it again.
"""

TURN_BYTES = 300
"""What a turn weighs beside its texts: its tuple, its places in the tables, its numbers."""

MERGED_BYTES = 250
"""What the id of a turn weighs that was merged into another."""

MOST_NUMBERS = 10_000
"""Conversations without a turn left, of which the last number is still known."""


class _Past:
    """One conversation's turns by their numbers, which go from `first` to `last`."""

    __slots__ = ("first", "last", "turns")

    def __init__(self, last: int) -> None:
        self.first, self.last = last + 1, last
        self.turns: dict[int, Kept] = {}


class MemoryStore:
    """Keeps everything in dictionaries; for tests, and for agents whose past does not matter.

    No method waits for anything: each is one step, and nobody sees half of one. Over
    `most_turns` or `most_bytes`, the oldest turns go, first those of the conversation
    that was used longest ago. The turn that was committed last stays.
    """

    durable = False

    def __init__(self, most_turns: int = 1_000_000, most_bytes: int = 2**28) -> None:
        self._most_turns = most_turns
        self._most_bytes = most_bytes
        self._bytes = 0
        self._pasts: OrderedDict[str, _Past] = OrderedDict()  # Used longest ago first.
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._committed: dict[str, Kept] = {}
        self._merged: dict[str, str] = {}  # Of turns that another answered: the id of that one.
        self._accepted: dict[str, AcceptedTurn] = {}

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
        return (past.first, past.last) if past else (1, 0)

    def read(self, conversation: str, first: int, last: int) -> Sequence[Kept]:
        past = self._pasts.get(conversation)
        found = map(past.turns.get, range(first, last + 1)) if past else ()
        return [turn for turn in found if turn is not None]

    async def messages(self, conversation: str, count: int = 0) -> list[Message]:
        return History(self, conversation)[-count:]

    async def commit(self, record: Record) -> int:
        if record.turn_id in self._committed:
            raise StoreUnavailable(f"Turn {record.turn_id} is in the history already.")
        past = self._pasts.get(record.conversation)
        if past is None:
            past = _Past(self._numbers.get(record.conversation, 0))
        try:
            self._keep(record, past)
        except MemoryError as error:
            self._take_back(record, past)
            raise NothingKept from error
        while self._is_full() and len(self._committed) > 1:
            self._drop_oldest()
        return past.last

    def _keep(self, record: Record, past: _Past) -> None:
        """All or nothing: what needs memory comes first, and counts for nothing by itself."""
        number = past.last + 1
        turn = (
            record.message, record.reply, record.turn_id, record.conversation,
            number, time.time(), record.state.value, record.answers,
        )  # fmt: skip
        weight = _weight(turn)
        ended = {
            turn_id: _with(self._accepted[turn_id], _ending(record, turn_id, number))
            for turn_id in record.answers or (record.turn_id,)
            if turn_id in self._accepted
        }
        for turn_id in _others(turn):
            self._merged[turn_id] = record.turn_id
        past.turns[number] = self._committed[record.turn_id] = turn
        self._pasts[record.conversation] = past
        self._accepted |= ended
        self._pasts.move_to_end(record.conversation)
        self._numbers.pop(record.conversation, None)
        past.last, self._bytes = number, self._bytes + weight

    def _take_back(self, record: Record, past: _Past) -> None:
        past.turns.pop(past.last + 1, None)
        self._committed.pop(record.turn_id, None)
        for turn_id in record.answers:
            self._merged.pop(turn_id, None)
        if not past.turns:
            self._pasts.pop(record.conversation, None)

    def _is_full(self) -> bool:
        return len(self._committed) > self._most_turns or self._bytes > self._most_bytes

    def _drop_oldest(self) -> None:
        """Of the conversation that was used longest ago."""
        conversation, past = next(iter(self._pasts.items()))
        self._drop(past.turns.pop(past.first))
        past.first += 1
        if not past.turns:
            del self._pasts[conversation]
            self._numbers[conversation] = past.last
            if len(self._numbers) > MOST_NUMBERS:
                self._numbers.popitem(last=False)

    def _drop(self, turn: Kept) -> None:
        self._bytes -= _weight(turn)
        del self._committed[turn[2]]
        for turn_id in _others(turn):
            del self._merged[turn_id]

    async def turns(self, conversation: str) -> int:
        return self.span(conversation)[1]

    async def conversations(self, prefix: str, limit: int) -> tuple[Mapping[str, int], int]:
        start = len(prefix)
        names = sorted(
            name for name in self._pasts if name.startswith(prefix) and "/" not in name[start:]
        )
        return {name: self._pasts[name].last for name in names[: limit or None]}, len(names)

    async def forget(self, conversation: str) -> None:
        self._numbers.pop(conversation, None)
        if past := self._pasts.pop(conversation, None):
            for turn in past.turns.values():
                self._drop(turn)
        for accepted in self._ended():
            if accepted.conversation == conversation:
                del self._accepted[accepted.id]

    # Accepted turns.

    async def accept(self, turn: AcceptedTurn) -> None:
        self._accepted[turn.id] = turn

    async def begin(self, turn_ids: Sequence[str]) -> None:
        if not all(turn_id in self._accepted for turn_id in turn_ids):
            raise NothingKept("Not all of these turns are written down.")
        for turn_id in turn_ids:
            turn = self._accepted[turn_id]
            self._accepted[turn_id] = replace(turn, attempts=turn.attempts + 1)

    async def end(self, turn_id: str, ending: Ending) -> None:
        turn = self._accepted.get(turn_id)
        if turn is not None:
            self._accepted[turn_id] = _with(turn, ending)

    async def find(self, turn_id: str) -> AcceptedTurn | None:
        turn = self._accepted.get(turn_id)
        if turn is None:
            kept = self._committed.get(self._merged.get(turn_id, turn_id))
            return kept and _found(kept, turn_id)
        ending = turn.ending
        if ending is None or not ending.number:
            return turn
        for kept in self.read(turn.conversation, ending.number, ending.number):
            return replace(turn, ending=replace(ending, reply=kept[1]))
        return None  # With its reply, which was dropped.

    async def unfinished(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.ending is None]

    async def keyed(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.key is not None]

    async def shift(self, by_s: float) -> None:
        for turn in self._accepted.values():
            deadline_at = None if turn.deadline_at is None else turn.deadline_at + by_s
            moved = replace(turn, accepted_at=turn.accepted_at + by_s, deadline_at=deadline_at)
            self._accepted[turn.id] = moved

    async def prune(self, before: float, most: int) -> None:
        ended = self._ended()
        for place, turn in enumerate(ended):
            if turn.accepted_at < before or place < len(ended) - most:
                del self._accepted[turn.id]

    def _ended(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.ending is not None]


def _found(turn: Kept, turn_id: str) -> AcceptedTurn:
    _, reply, _, conversation, number, committed_at, state, _ = turn
    ending = Ending(State(state), reply, number)
    return AcceptedTurn(turn_id, conversation, "", committed_at, ending=ending)


def _ending(record: Record, turn_id: str, number: int) -> Ending:
    waited_s = record.waited_s.get(turn_id, 0.0)
    return Ending(record.state, number=number, waited_s=waited_s, ran_s=record.ran_s)


def _with(turn: AcceptedTurn, ending: Ending) -> AcceptedTurn:
    """Its first ending stays."""
    # Without its texts: the history has them, and is what the bounds are for.
    return replace(turn, message="", ending=ending) if turn.ending is None else turn


def _others(turn: Kept) -> list[str]:
    """The turns that were merged into this one."""
    return [turn_id for turn_id in turn[7] if turn_id != turn[2]] if len(turn[7]) > 1 else []


def _weight(turn: Kept) -> int:
    message, reply, turn_id, *_, answers = turn
    texts = getsizeof(message) + getsizeof(reply) + getsizeof(turn_id)
    return TURN_BYTES + texts + len(answers) * MERGED_BYTES
