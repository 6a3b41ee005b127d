"""Where turns stand that wait: asked for when a line has moved, and never while it rests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from runner import tasks
from runner.engine.store import SharedStore
from runner.engine.ticket import SharedTicket
from runner.store.base import StoreUnavailable
from runner.turns.known_turns import KnownTurns
from strategies import Place

SOON_S = 0.02
"""A line that moves often is looked at once in so long."""


class Places:
    """Keeps the places of the turns that this process knows up to date.

    service_s  gives the seconds that a turn runs, or None.
    """

    def __init__(
        self, store: SharedStore, known: KnownTurns, service_s: Callable[[], float | None]
    ) -> None:
        self._store = store
        self._known = known
        self._service_s = service_s
        self._moved: dict[str, asyncio.Task[None]] = {}

    def moved(self, conversation: str) -> None:
        """Something came to its line, or left it."""
        if conversation not in self._moved and self._waiting(conversation):
            task = self._moved[conversation] = tasks.spawn(self._look(conversation), "places")
            task.add_done_callback(lambda _: self._moved.pop(conversation, None))

    def _waiting(self, conversation: str) -> dict[str, SharedTicket]:
        tickets = ((live.turn.id, live.ticket) for live in self._known.line(conversation))
        return {
            turn_id: ticket
            for turn_id, ticket in tickets
            if isinstance(ticket, SharedTicket) and ticket.place() is not None
        }

    async def _look(self, conversation: str) -> None:
        await asyncio.sleep(SOON_S)
        self._moved.pop(conversation, None)  # What moves from here on is looked at again.
        with suppress(StoreUnavailable):
            await self.look(conversation)

    async def look(self, conversation: str) -> None:
        """Now. Raises StoreUnavailable."""
        places = await self._store.places(conversation)
        service_s = self._service_s()
        for turn_id, ticket in self._waiting(conversation).items():
            if (position := places.get(turn_id)) is not None:
                eta_s = None if service_s is None else position * service_s
                ticket.known_place = Place(position, eta_s)
        self._known.line_moved(conversation)
