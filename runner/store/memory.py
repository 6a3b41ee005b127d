"""Everything in memory: gone when the process ends."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from runner.agents.base import Message
from runner.store.base import AcceptedTurn, Ending, Record, StoreUnavailable


class MemoryStore:
    """Keeps everything in dictionaries; for tests, and for agents whose past does not matter.

    No method awaits anything: each is one step, and nobody sees half of one.
    """

    durable = False

    def __init__(self) -> None:
        self._histories: dict[str, list[Message]] = {}
        self._committed: dict[str, AcceptedTurn] = {}
        self._accepted: dict[str, AcceptedTurn] = {}

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def history(self, conversation: str, count: int = 0) -> list[Message]:
        # Copies: an agent that edits the messages it is given must not edit the past.
        kept = self._histories.get(conversation, [])[-count:]
        return [{"role": said["role"], "content": said["content"]} for said in kept]

    async def commit(self, record: Record) -> int:
        if record.turn_id in self._committed:
            raise StoreUnavailable(f"Turn {record.turn_id} is in the history already.")
        history = self._histories.setdefault(record.conversation, [])
        history.append({"role": "user", "content": record.message})
        history.append({"role": "assistant", "content": record.reply})
        ending = Ending(record.state, record.reply, len(history) // 2)
        self._committed[record.turn_id] = AcceptedTurn(
            record.turn_id, record.conversation, "", time.time(), ending=ending
        )
        for turn_id in record.answers or (record.turn_id,):
            await self.end(turn_id, ending)
        return ending.number

    async def conversations(self, prefix: str) -> Mapping[str, int]:
        return {
            conversation: len(history) // 2
            for conversation, history in self._histories.items()
            if conversation.startswith(prefix)
        }

    async def forget(self, conversation: str) -> None:
        self._histories.pop(conversation, None)
        for turns in (self._committed, self._accepted):
            ended = [t.id for t in turns.values() if t.conversation == conversation and t.ending]
            for turn_id in ended:
                del turns[turn_id]

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
        turn = self._accepted.get(turn_id)
        if turn is not None and turn.ending is None:
            self._accepted[turn_id] = replace(turn, ending=ending)

    async def find(self, turn_id: str) -> AcceptedTurn | None:
        return self._accepted.get(turn_id) or self._committed.get(turn_id)

    async def unfinished(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.ending is None]

    async def keyed(self) -> list[AcceptedTurn]:
        return [turn for turn in self._accepted.values() if turn.key is not None]

    async def prune(self, before: float, most: int) -> None:
        ended = [turn for turn in self._accepted.values() if turn.ending is not None]
        for place, turn in enumerate(reversed(ended)):
            if turn.accepted_at < before or place >= most:
                del self._accepted[turn.id]
