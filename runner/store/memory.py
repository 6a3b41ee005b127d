"""History in memory: gone when the process ends."""

from __future__ import annotations

from runner.agents.base import Message
from runner.store.base import Record, StoreUnavailable


class MemoryStore:
    """Keeps everything in a dictionary; for tests, and for agents whose past does not matter."""

    def __init__(self) -> None:
        self._histories: dict[str, list[Message]] = {}
        self._turn_ids: set[str] = set()

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def history(self, conversation: str, count: int = 0) -> list[Message]:
        # Copies: an agent that edits the messages it is given must not edit the past.
        kept = self._histories.get(conversation, [])[-count:]
        return [{"role": said["role"], "content": said["content"]} for said in kept]

    async def commit(self, record: Record) -> int:
        # One step: no await, so nobody sees half a turn.
        if record.turn_id in self._turn_ids:
            raise StoreUnavailable(f"Turn {record.turn_id} is in the history already.")
        self._turn_ids.add(record.turn_id)
        history = self._histories.setdefault(record.conversation, [])
        history.append({"role": "user", "content": record.message})
        history.append({"role": "assistant", "content": record.reply})
        return len(history) // 2
