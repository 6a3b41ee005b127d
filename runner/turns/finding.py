"""Conversations that are found by what is known of them, and not by their id."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from pydantic_core import from_json

from runner.callers import owns
from runner.store.base import Store
from runner.turns.keys import Keys
from runner.turns.known_turns import KnownTurns
from runner.turns.live_turn import LiveTurn

MOST_LOOKED_AT = 64
"""Conversations in which the same was said; each of these may be busy."""


class Finding:
    """Nothing here waits: what is found is so until the next `await`.

    form        the agent's, by which its state is known.
    forgetting  conversations that are about to be forgotten.
    """

    def __init__(
        self, store: Store, known: KnownTurns, keys: Keys, form: str, forgetting: Container[str]
    ) -> None:
        self._store = store
        self._known = known
        self._keys = keys
        self._form = form
        self._forgetting = forgetting

    def by_said(self, caller: str, said: str) -> str | None:
        """The caller's idle conversation in which this was said and nothing since, or None.

        One that has a turn is about to go on from there. Raises StoreUnavailable.
        """
        found = self._store.said(said, MOST_LOOKED_AT)
        idle = (one for one in found if owns(caller, one) and self.is_idle(one))
        return next(idle, None)

    def by_key(self, caller: str, key: str) -> str | None:
        """The conversation in which the caller last asked something under this key, or None."""
        return self._keys.where(caller, key)

    def last(self, conversation: str) -> LiveTurn | None:
        """Its turn that was accepted last and has not ended."""
        return next(reversed(self._known.line(conversation)), None)

    def number(self, conversation: str) -> int:
        """As `Store.turns`. Raises StoreUnavailable."""
        return self._store.span(conversation)[1]

    def is_idle(self, conversation: str) -> bool:
        return not self._known.line(conversation) and conversation not in self._forgetting

    def requests(self, conversation: str) -> list[dict[str, Any]]:
        """What the agent needs a person for before it can go on. Raises StoreUnavailable."""
        left = self._store.agent_state(conversation, self._form)
        return [] if left is None or left.requests is None else from_json(left.requests)
