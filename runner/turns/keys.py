"""Idempotency keys: which turn was asked under which, bounded in number and in age."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from runner.store.base import AcceptedTurn
from strategies import Turn


class KeyReused(Exception):
    """The key was used for another message. Use a new one for each message."""


Entry = tuple[str, str | None, float]
"""Which turn was asked under a key, the digest of its message, and when."""


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
        if entry is None:
            return None
        turn_id, asked, _ = entry
        if asked != digest(turn.message):
            raise KeyReused(KeyReused.__doc__)
        return turn_id

    def add(self, row: AcceptedTurn) -> None:
        """The turn was asked under a key, if it has one."""
        if row.key is not None:
            self._entries[row.conversation, row.key] = row.id, row.digest, row.accepted_at
            self._drop_old(row.accepted_at)

    def release(self, turn_id: str, conversation: str, key: str) -> None:
        """The turn never started, so the key may be used as if for the first time."""
        if self._entries.get((conversation, key), ("",))[0] == turn_id:
            del self._entries[conversation, key]

    def forget(self, conversation: str) -> None:
        for known in [known for known in self._entries if known[0] == conversation]:
            del self._entries[known]

    def _drop_old(self, now: float) -> None:
        while self._entries:
            _, _, at = next(iter(self._entries.values()))
            if len(self._entries) <= self._most and at >= now - self._age_s:
                return
            self._entries.popitem(last=False)


def digest(message: str) -> str:
    """What is compared instead of the message, which may be long."""
    return sha256(message.encode()).hexdigest()
