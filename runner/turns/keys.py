"""Idempotency keys: which turn was asked under which, bounded in number and in age."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

from strategies import Turn


class KeyReused(Exception):
    """The key was used for another message. Use a new one for each message."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What was asked under a key, and when; seconds since 1970."""

    turn_id: str
    digest: str
    at: float


class Keys:
    """A key counts within one conversation of one caller."""

    def __init__(self, age_s: float, most: int) -> None:
        self._age_s = age_s
        self._most = most
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()

    def find(self, turn: Turn, key: str, now: float) -> str | None:
        """The id of the turn that was asked under this key, if any. Raises KeyReused."""
        self._drop_old(now)
        entry = self._entries.get((turn.conversation, key))
        if entry is not None and entry.digest != digest(turn.message):
            raise KeyReused(KeyReused.__doc__)
        return None if entry is None else entry.turn_id

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
            if len(self._entries) <= self._most and first.at >= now - self._age_s:
                return
            self._entries.popitem(last=False)


def digest(message: str) -> str:
    """What is compared instead of the message, which may be long."""
    return sha256(message.encode()).hexdigest()
