"""Idempotency keys: which turn was asked under which, bounded in number and in age."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Entry:
    """What was asked under a key, and when; seconds since 1970."""

    turn_id: str
    digest: str
    at: float


class Keys:
    """A key counts within one conversation of one caller."""

    def __init__(self, age_s: float, most: int) -> None:
        self.age_s = age_s
        self.most = most
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, conversation: str, key: str, now: float) -> Entry | None:
        self._drop_old(now)
        return self._entries.get((conversation, key))

    def add(self, conversation: str, key: str, entry: Entry) -> None:
        self._entries[conversation, key] = entry
        self._drop_old(entry.at)

    def release(self, conversation: str, key: str, turn_id: str) -> None:
        """The turn never started, so the key may be used as if for the first time."""
        entry = self._entries.get((conversation, key))
        if entry is not None and entry.turn_id == turn_id:
            del self._entries[conversation, key]

    def forget(self, conversation: str) -> None:
        for known in [known for known in self._entries if known[0] == conversation]:
            del self._entries[known]

    def _drop_old(self, now: float) -> None:
        while self._entries:
            first = next(iter(self._entries.values()))
            if len(self._entries) <= self.most and first.at >= now - self.age_s:
                return
            self._entries.popitem(last=False)


def digest(message: str) -> str:
    """What is compared instead of the message, which may be long."""
    return sha256(message.encode()).hexdigest()
