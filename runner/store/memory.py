"""History in memory: gone when the process ends."""

from __future__ import annotations

from runner.agents.base import Message
from runner.store.base import Record


class MemoryStore:
    """Keeps everything in a dictionary; for tests, and for agents whose past does not matter."""

    def __init__(self) -> None:
        self._histories: dict[str, list[Message]] = {}

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def history(self, conversation: str, count: int = 0) -> list[Message]:
        return self._histories.get(conversation, [])[-count:]

    async def commit(self, record: Record) -> int:
        # One step: no await, so nobody sees half a turn.
        history = self._histories.setdefault(record.conversation, [])
        history.append({"role": "user", "content": record.message})
        history.append({"role": "assistant", "content": record.reply})
        return len(history) // 2
