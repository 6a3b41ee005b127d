"""Everything in memory: gone when the process ends, and bounded while it lasts."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice, takewhile
from sys import getsizeof

from runner.agents.base import Message
from runner.callers import caller_of
from runner.fair_bound import FairBound
from runner.store.archive import KeptConversation, KeptTurn
from runner.store.base import (
    AcceptedTurn,
    AgentState,
    Ending,
    NothingKept,
    Place,
    Record,
    StoreUnavailable,
)
from runner.store.history import History
from runner.store.memory_archive import (
    MemorySnapshot,
    as_kept,
    kept_turn,
    others,
    refuse_known_ids,
)
from runner.store.timing import Took, timed, untold
from strategies import State

Json = bytes | None
Kept = tuple[str, str, str, str, int, float, str, tuple[str, ...], Json, Json]
"""A turn: message, reply, id, conversation, number, when it was committed, state, `answers`,
output, requests.

A plain tuple of texts and numbers: the garbage collector does not look at it again.
"""

TURN_BYTES = 300
"""What a turn weighs beside its texts: its tuple, its places in the tables, its numbers."""

STATE_BYTES = 100
"""What an agent's state weighs beside its JSON."""

MERGED_BYTES = 250
"""What the id of a turn weighs that was merged into another."""

MOST_NUMBERS = 10_000
"""Conversations without a turn left, of which the last number is still known."""


class _Past:
    """One conversation's turns by their numbers, from `first` to `last`, and what they left."""

    __slots__ = ("first", "last", "left", "said", "turns")

    def __init__(self, last: int) -> None:
        self.first, self.last = last + 1, last
        self.left: dict[str, AgentState] = {}
        self.said: str | None = None
        self.turns: dict[int, Kept] = {}


class MemoryStore:
    """Keeps everything in dictionaries; for tests, and for agents whose past does not matter.

    No method waits for anything: each is one step, and nobody sees half of one. Over
    `most_turns` or `most_bytes`, the caller who keeps most loses turns (see `fair_bound`):
    the oldest ones, first those of the conversation that was used longest ago. The turn
    that was committed last stays.
    """

    durable = lost = False
    available = True

    def __init__(
        self,
        most_turns: int = 1_000_000,
        most_bytes: int = 2**28,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.took: Took = untold
        self._now = now
        self._pasts: OrderedDict[str, _Past] = OrderedDict()  # The one last committed to is last.
        self._bound: FairBound[str] = FairBound(most_turns, most_bytes)  # Of conversations.
        self._numbers: dict[str, int] = {}
        self._number_bound: FairBound[str] = FairBound(MOST_NUMBERS)
        self._committed: dict[str, Kept] = {}
        self._said: dict[str, dict[str, None]] = {}  # Of digests: the conversations.
        self._merged: dict[str, str] = {}  # Of turns that another answered: the id of that one.
        self._accepted: dict[str, AcceptedTurn] = {}

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    # History.

    def history(self, conversation: str, turns: int | None = None) -> History:
        self._use(conversation)
        return History(self, conversation, turns)

    def span(self, conversation: str) -> tuple[int, int]:
        past = self._pasts.get(conversation)
        return (past.first, past.last) if past else (1, 0)

    def read(self, conversation: str, first: int, last: int) -> Sequence[Kept]:
        past = self._pasts.get(conversation)
        found = map(past.turns.get, range(first, last + 1)) if past else ()
        return [turn for turn in found if turn is not None]

    async def before(
        self, conversation: str, form: str, turns: int | None = None
    ) -> tuple[AgentState | None, History]:
        return await self.agent_state(conversation, form), self.history(conversation, turns)

    async def messages(self, conversation: str, count: int = 0) -> list[Message]:
        return History(self, conversation)[-count:]

    @timed("agent_state")
    async def agent_state(self, conversation: str, form: str) -> AgentState | None:
        past = self._pasts.get(conversation)
        return None if past is None else past.left.get(form)

    @timed("commit")
    async def commit(self, record: Record) -> int:
        if record.turn_id in self._committed:
            raise StoreUnavailable(f"Turn {record.turn_id} is in the history already.")
        conversation = record.conversation
        past = self._pasts.get(conversation)
        number = (past.last if past else self._numbers.get(conversation, 0)) + 1
        number += len(record.before) if number == 1 else 0
        turn = (
            record.message, record.reply, record.turn_id, conversation,
            number, self._now(), record.state.value, record.answers,
            record.output, record.requests,
        )  # fmt: skip
        try:  # What needs most of the memory comes first; after it an error says `unknown`.
            left = {} if past is None else past.left
            if record.left is not None:
                left = left | {record.left.form: record.left}
            before = _before(record, turn[5]) if number == len(record.before) + 1 > 1 else []
            weight = _weight(turn) + (_weight_left(left) if left else 0)
            weight += sum(map(_weight, before)) if before else 0
            ended = {
                turn_id: _with(self._accepted[turn_id], _ending(record, turn_id, number))
                for turn_id in record.answers or (record.turn_id,)
                if turn_id in self._accepted
            }
        except MemoryError as error:
            raise NothingKept from error
        if past and past.left:
            self._drop_left(conversation, past)
        self._make_room(conversation, len(before) + 1, weight)
        for one in (*before, turn):
            self._add(one, left)
        if record.said is not None or (past is not None and past.said is not None):
            self._say(conversation, record.said)
        self._accepted |= ended
        return number

    def _make_room(self, conversation: str, turns: int, weight: int) -> None:
        self._use(conversation)
        # It counts, but is not there yet: so it is none of those that go.
        self._bound.count(caller_of(conversation), turns, weight)
        while (surplus := self._bound.surplus()) is not None:
            past = self._pasts[surplus]
            oldest = past.turns.pop(past.first)
            past.first += 1
            if not past.turns:
                self._leave(surplus)
                self._keep_number(surplus, past.last)
            self._drop(oldest)

    def _add(self, turn: Kept, left: dict[str, AgentState]) -> None:
        conversation, number = turn[3:5]
        past = self._pasts.get(conversation)
        if past is None:
            past = self._pasts[conversation] = _Past(number - 1)
            self._use(conversation)
            self._drop_number(conversation)
        for turn_id in others(turn):
            self._merged[turn_id] = turn[2]
        self._pasts.move_to_end(conversation)
        past.last, past.left = number, left
        past.turns[number] = self._committed[turn[2]] = turn

    @timed("find")
    async def said(self, digest: str, most: int) -> list[str]:
        return list(islice(self._said.get(digest, ()), most))

    def _say(self, conversation: str, digest: str | None) -> None:
        past = self._pasts[conversation]
        if past.said is not None:
            found = self._said[past.said]
            del found[conversation]
            if not found:
                del self._said[past.said]
        past.said = digest
        if digest is not None:
            self._said.setdefault(digest, {})[conversation] = None

    def _use(self, conversation: str) -> None:
        """Of the caller's conversations it is the last one to lose turns."""
        if conversation in self._pasts:
            self._bound.keep(caller_of(conversation), conversation)

    def _drop(self, turn: Kept) -> None:
        self._bound.count(caller_of(turn[3]), -1, -_weight(turn))
        del self._committed[turn[2]]
        for turn_id in others(turn):
            del self._merged[turn_id]

    def _drop_left(self, conversation: str, past: _Past) -> None:
        self._bound.count(caller_of(conversation), 0, -_weight_left(past.left))
        past.left = {}

    def _leave(self, conversation: str) -> None:
        self._say(conversation, None)
        self._drop_left(conversation, self._pasts.pop(conversation))
        self._bound.drop(caller_of(conversation), conversation)

    def _keep_number(self, conversation: str, number: int) -> None:
        self._numbers[conversation] = number
        self._number_bound.add(caller_of(conversation), conversation)
        while (surplus := self._number_bound.surplus()) is not None:
            self._drop_number(surplus)

    def _drop_number(self, conversation: str) -> None:
        if self._numbers.pop(conversation, None) is not None:
            self._number_bound.remove(caller_of(conversation), conversation)

    @timed("find")
    async def turns(self, conversation: str) -> int:
        return self.span(conversation)[1]

    @timed("find")
    async def conversations(self, prefix: str, limit: int) -> tuple[Mapping[str, int], int]:
        start = len(prefix)
        names = sorted(
            name for name in self._pasts if name.startswith(prefix) and "/" not in name[start:]
        )
        return {name: self._pasts[name].last for name in names[: limit or None]}, len(names)

    @timed("forget")
    async def forget(self, conversation: str, idle_since: float | None = None) -> bool:
        if idle_since is not None and not (
            self._is_old(conversation, idle_since) and conversation not in self._used(idle_since)
        ):
            return False
        self._drop_number(conversation)
        if past := self._pasts.get(conversation):
            self._leave(conversation)
            for turn in past.turns.values():
                self._drop(turn)
        for accepted in self._ended():
            if accepted.conversation == conversation:
                del self._accepted[accepted.id]
        return True

    async def idle(self, since: float, most: int) -> list[str]:
        used = self._used(since)
        old = takewhile(lambda name: self._is_old(name, since), self._pasts)
        return list(islice((name for name in old if name not in used), most))

    def _is_old(self, conversation: str, since: float) -> bool:
        return conversation in self._pasts and self._last_at(conversation) < since

    def _last_at(self, conversation: str) -> float:
        past = self._pasts[conversation]
        return past.turns[past.last][5]

    def _used(self, since: float) -> set[str]:
        """Conversations with an accepted turn that has not ended, or is not that old."""
        return {
            turn.conversation
            for turn in self._accepted.values()
            if turn.ending is None or turn.accepted_at >= since
        }

    # Accepted turns.

    @timed("accept")
    async def accept(self, turn: AcceptedTurn) -> None:
        self._accepted[turn.id] = turn

    @timed("begin")
    async def begin(self, turn_ids: Sequence[str]) -> None:
        if not all(turn_id in self._accepted for turn_id in turn_ids):
            raise NothingKept("Not all of these turns are written down.")
        for turn_id in turn_ids:
            turn = self._accepted[turn_id]
            self._accepted[turn_id] = replace(turn, attempts=turn.attempts + 1)

    @timed("end")
    async def end(self, turn_id: str, ending: Ending) -> None:
        turn = self._accepted.get(turn_id)
        if turn is not None:
            self._accepted[turn_id] = _with(turn, replace(ending, requests=None))

    @timed("find")
    async def find(self, turn_id: str) -> AcceptedTurn | None:
        turn = self._accepted.get(turn_id)
        if turn is None:
            kept = self._committed.get(self._merged.get(turn_id, turn_id))
            return kept and _found(kept, turn_id)
        ending = turn.ending
        if ending is None or not ending.number:
            return turn
        for kept in self.read(turn.conversation, ending.number, ending.number):
            said = replace(ending, reply=kept[1], output=kept[8], requests=kept[9])
            return replace(turn, ending=said)
        return None  # With its reply, which was dropped.

    @timed("find")
    async def ended(
        self, conversation: str, before: Place | None, most: int
    ) -> tuple[list[Place], int]:
        past = self._pasts.get(conversation)
        places = [
            (turn[5], turn[4], turn_id)
            for turn in (past.turns.values() if past else ())
            for turn_id in {turn[2], *turn[7]}
        ]
        places += [
            (turn.accepted_at, 0, turn.id)
            for turn in self._ended()
            if turn.conversation == conversation and turn.ending and not turn.ending.number
        ]
        places.sort(reverse=True)
        return [one for one in places if before is None or one < before][:most], len(places)

    async def unfinished(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.ending is None]

    async def keyed(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.key is not None]

    async def untold(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.webhook is not None]

    async def hook(self, turn_id: str, webhook: str) -> bool:
        turn = self._accepted.get(turn_id)
        if turn is None or turn.ending is not None:
            return False
        self._accepted[turn_id] = replace(turn, webhook=webhook)
        return True

    async def told(self, turn_id: str) -> None:
        if (turn := self._accepted.get(turn_id)) is not None:
            self._accepted[turn_id] = replace(turn, webhook=None)

    async def shift(self, by_s: float) -> None:
        for turn in self._accepted.values():
            deadline_at = None if turn.deadline_at is None else turn.deadline_at + by_s
            moved = replace(turn, accepted_at=turn.accepted_at + by_s, deadline_at=deadline_at)
            self._accepted[turn.id] = moved

    @timed("prune")
    async def prune(self, before: float, most: int) -> None:
        kept: Counter[str] = Counter()
        places: list[tuple[int, str]] = []
        for turn in reversed(self._ended()):
            if turn.accepted_at < before:
                del self._accepted[turn.id]
            else:
                kept[caller_of(turn.conversation)] += 1
                places.append((kept[caller_of(turn.conversation)], turn.id))
        for _, turn_id in sorted(places)[most:]:
            del self._accepted[turn_id]

    def _ended(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.ending is not None]

    # Export and import.

    @contextmanager
    def snapshot(self) -> Generator[MemorySnapshot]:
        ended: dict[str, list[AcceptedTurn]] = {}
        for turn in self._ended():
            ended.setdefault(turn.conversation, []).append(turn)
        kept = {
            name: KeptConversation(
                name, past.last, past.said, tuple(past.left.values()),
                [*map(kept_turn, past.turns.values()), *ended.get(name, ())],
            )
            for name, past in sorted(self._pasts.items())
        }  # fmt: skip
        unfinished = [turn for turn in self._accepted.values() if turn.ending is None]
        yield MemorySnapshot(kept, [turn.conversation for turn in unfinished])

    async def restore(self, conversations: Iterable[KeptConversation]) -> list[str]:
        existing: list[str] = []
        new: dict[str, tuple[KeptConversation, list[KeptTurn | AcceptedTurn]]] = {}
        try:
            for one in conversations:
                if one.id in self._pasts or one.id in new:
                    existing.append(one.id)
                else:
                    new[one.id] = one, [*one.parts]
        except Exception as error:
            raise NothingKept from error
        parts_of_all = (part for _, parts in new.values() for part in parts)
        refuse_known_ids(parts_of_all, {*self._committed, *self._merged}, {*self._accepted})
        for one, parts in new.values():
            self._restore(one, parts)
        for name in sorted(self._pasts, key=self._last_at):
            self._pasts.move_to_end(name)
        return existing

    def _restore(self, one: KeptConversation, parts: Iterable[KeptTurn | AcceptedTurn]) -> None:
        left = {state.form: state for state in one.states}
        turns = [as_kept(one.id, part) for part in parts if isinstance(part, KeptTurn)]
        weight = sum(map(_weight, turns)) + (_weight_left(left) if left else 0)
        self._make_room(one.id, len(turns), weight)
        for turn in turns:
            self._add(turn, left)
        self._say(one.id, one.said)
        self._accepted |= {part.id: part for part in parts if isinstance(part, AcceptedTurn)}


def _before(record: Record, now: float) -> list[Kept]:
    """The turns from elsewhere."""
    answered = State.ANSWERED.value
    return [
        (*said, record.id_before(place), record.conversation, place, now, answered, (), None, None)
        for place, said in enumerate(record.before, 1)
    ]


def _found(turn: Kept, turn_id: str) -> AcceptedTurn:
    _, reply, _, conversation, number, committed_at, state, _, output, requests = turn
    ending = Ending(State(state), reply, number, output=output, requests=requests)
    return AcceptedTurn(turn_id, conversation, "", committed_at, ending=ending)


def _ending(record: Record, turn_id: str, number: int) -> Ending:
    """Without what the history has, which is bounded."""
    waited_s = record.waited_s.get(turn_id, 0.0)
    return Ending(record.state, number=number, waited_s=waited_s, ran_s=record.ran_s)


def _with(turn: AcceptedTurn, ending: Ending) -> AcceptedTurn:
    """Its first ending stays."""
    # Without its texts: the history has them, and is what the bounds are for.
    return turn if turn.ending else replace(turn, message="", more=None, ending=ending)


def _weight(turn: Kept) -> int:
    message, reply, turn_id, _, _, _, _, answers, output, requests = turn
    texts = getsizeof(message) + getsizeof(reply) + getsizeof(turn_id)
    texts += len(output or b"") + len(requests or b"")
    return TURN_BYTES + texts + len(answers) * MERGED_BYTES


def _weight_left(left: Mapping[str, AgentState]) -> int:
    json = (text for one in left.values() for text in (one.state, one.requests, one.before) if text)
    return len(left) * STATE_BYTES + sum(map(getsizeof, json))
