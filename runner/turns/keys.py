"""Idempotency keys: which turn was asked under which.

That of a turn that lives stays. Those of ended turns are bounded in age and in number, and
none of them goes for the sake of a caller who keeps more of them than its own (see `fair_bound`).
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from runner.callers import caller_of
from runner.fair_bound import FairBound
from runner.store.base import AcceptedTurn
from runner.turns.content import Content
from strategies import Turn


class KeyReused(Exception):
    """The key was used for another message. Use a new one for each message."""


Name = tuple[str, str]
"""A conversation, and a key."""

Entry = tuple[str, str | None, float]
"""Which turn was asked under a key, the digest of its message, and when."""


class Keys:
    """A key counts within one conversation of one caller."""

    def __init__(self, age_s: float, most: int) -> None:
        self._age_s = age_s
        self._living: dict[Name, Entry] = {}
        self._ended: OrderedDict[Name, Entry] = OrderedDict()
        self._ended_of: dict[str, set[Name]] = {}  # Of conversations.
        self._where: dict[tuple[str, str], str] = {}
        self._bound: FairBound[Name] = FairBound(most)

    def find(self, turn: Turn, key: str, now: float) -> str | None:
        """The id of the turn that was asked under this key, if any. Raises KeyReused."""
        self._drop_old(now)
        name = turn.conversation, key
        entry = self._living.get(name) or self._ended.get(name)
        if entry is None:
            return None
        turn_id, asked, _ = entry
        if asked != digest(turn.message, turn.more):
            raise KeyReused(KeyReused.__doc__)
        return turn_id

    def where(self, caller: str, key: str) -> str | None:
        """The conversation in which the caller last used this key, or None."""
        return self._where.get((caller, key))

    def add(self, row: AcceptedTurn) -> None:
        """The turn was asked under a key, if it has one."""
        if row.key is not None:
            self._living[row.conversation, row.key] = row.id, row.digest, row.accepted_at
            self._where[caller_of(row.conversation), row.key] = row.conversation
            if row.ending is not None:
                self.end(row.conversation, row.key)
            self._drop_old(row.accepted_at)

    def end(self, conversation: str, key: str) -> None:
        """The turn has ended, so that the key is kept within the bounds."""
        name = conversation, key
        if (entry := self._living.pop(name, None)) is not None:
            self._ended[name] = entry
            self._ended_of.setdefault(conversation, set()).add(name)
            caller = caller_of(conversation)
            self._bound.add(caller, name)
            while (surplus := self._bound.surplus()) is not None:
                self._drop(surplus)

    def release(self, turn_id: str, conversation: str, key: str) -> None:
        """The turn never started, so the key may be used as if for the first time."""
        name = conversation, key
        if self._living.get(name, ("",))[0] == turn_id:
            del self._living[name]
            self._leave(name)
        elif self._ended.get(name, ("",))[0] == turn_id:
            self._drop(name)

    def forget(self, conversation: str) -> None:
        """Drop those of its turns that have ended."""
        for name in [*self._ended_of.get(conversation, ())]:
            self._drop(name)

    def _leave(self, name: Name) -> None:
        conversation, key = name
        if self._where.get((caller := caller_of(conversation), key)) == conversation:
            del self._where[caller, key]

    def _drop(self, name: Name) -> None:
        del self._ended[name]
        of_conversation = self._ended_of[name[0]]
        of_conversation.remove(name)
        if not of_conversation:
            del self._ended_of[name[0]]
        if name not in self._living:
            self._leave(name)
        caller = caller_of(name[0])
        self._bound.remove(caller, name)

    def _drop_old(self, now: float) -> None:
        while self._ended:
            name, (_, _, at) = next(iter(self._ended.items()))
            if at >= now - self._age_s:
                return
            self._drop(name)


def digest(message: str, more: object) -> str:
    """What is compared instead of what was asked, which may be long."""
    found = sha256(message.encode())
    if isinstance(more, Content):
        if more.digest is not None:
            return more.digest
        found.update(b"\0" + more.to_json())
    return found.hexdigest()
