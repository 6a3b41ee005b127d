"""Calls that are being answered, for clients of the handshake era that cancel one by its id.

Such an id is unique for its client only, and clients are told apart by `Mcp-Session-Id`. A
session is nothing but that name: it is made up for each handshake and kept nowhere, so any
is taken, by another process too.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakValueDictionary

from runner.doors.mcp.protocol import Message
from runner.turns.service import Service

Key = tuple[str, bytes, object]
"""The caller, its session, and the call's id."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Ongoing:
    """One call. It lives as long as the response to it."""

    turn_id: str


class Calls:
    """All of them. What is over goes by itself."""

    def __init__(self) -> None:
        self._ongoing: WeakValueDictionary[Key, Ongoing] = WeakValueDictionary()

    def begin(self, caller: str, message: Message, turn_id: str) -> Ongoing:
        ongoing = Ongoing(turn_id)
        if message.session:  # Without one nobody can say whose id it is.
            self._ongoing[caller, message.session, message.id] = ongoing
        return ongoing

    async def cancel(self, service: Service, caller: str, message: Message) -> None:
        """As `notifications/cancelled` says. The answer to the call tells what came of it."""
        if message.is_modern:
            return  # That era closes the request instead.
        call_id = message.params.get("requestId")
        if not isinstance(call_id, str | int):
            return
        ongoing = self._ongoing.get((caller, message.session, call_id))
        live = None if ongoing is None else await service.find(ongoing.turn_id)
        if live is not None and live.ticket is not None:
            live.ticket.cancel()
