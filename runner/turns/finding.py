"""Conversations that are found by what is known of them, and not by their id."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from runner.callers import owns
from runner.store.base import Store
from runner.turns.keys import Keys
from runner.turns.known_turns import KnownTurns
from runner.turns.live_turn import LiveTurn

if TYPE_CHECKING:
    from runner.engine.sharing import Sharing

MOST_LOOKED_AT = 64
"""Conversations in which the same was said; each of these may be busy."""


class Finding:
    """What is found is so until the next `await`, though a store far off is waited for.

    form        the agent's, by which its state is known.
    forgetting  conversations that are about to be forgotten.
    """

    def __init__(
        self,
        store: Store,
        known: KnownTurns,
        keys: Keys,
        form: str,
        forgetting: Container[str],
        sharing: Sharing | None,
    ) -> None:
        self._store = store
        self._known = known
        self._keys = keys
        self._form = form
        self._forgetting = forgetting
        self._sharing = sharing
        self.noting_begun = known.noting_begun

    async def by_said(self, caller: str, said: str) -> str | None:
        """The caller's idle conversation in which this was said and nothing since, or None.

        One that has a turn is about to go on from there. Raises StoreUnavailable.
        """
        with self._known.noting_begun() as begun:  # And perhaps ended, before the store answered.
            found = await self._store.said(said, MOST_LOOKED_AT)
        mine = (one for one in found if owns(caller, one) and one not in begun)
        return next(filter(self.is_idle, mine), None)

    async def by_key(self, caller: str, key: str) -> str | None:
        """The conversation in which the caller last asked something under this key, or None.

        Raises StoreUnavailable, where other processes know of keys too.
        """
        if self._sharing is not None:
            return await self._sharing.where_keyed(caller, key)
        return self._keys.where(caller, key)

    def last(self, conversation: str) -> LiveTurn | None:
        """Its turn that was accepted last and has not ended."""
        return next(reversed(self._known.line(conversation)), None)

    async def stands_at(self, conversation: str, number: int) -> bool:
        """Whether it is idle, and this the number of its last turn. Raises StoreUnavailable."""
        with self._known.noting_begun() as begun:
            if self._sharing is not None:
                await self._sharing.find_living(conversation)
            last = await self._store.turns(conversation)
        return last == number and conversation not in begun and self.is_idle(conversation)

    def is_idle(self, conversation: str) -> bool:
        return not self._known.line(conversation) and conversation not in self._forgetting

    async def requests(self, conversation: str) -> list[dict[str, Any]]:
        """What the agent needs a person for before it can go on. Raises StoreUnavailable."""
        left = await self._store.agent_state(conversation, self._form)
        return [] if left is None or left.requests is None else from_json(left.requests)
