"""What an agent says here, told to a process whose client hears it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runner.engine.channel import Channel, Message
from runner.turns.events import Cursor
from runner.turns.live_turn import LiveTurn

SOON_S = 0.01
"""So long pieces are gathered: a client sees no difference, and each message is a transaction."""


class Telling:
    """Tells one process of one turn, from what it has heard already to the turn's end.

    have  the id of the last event that it has heard, as in `runner.turns.events`, or "".
    done  is called at the end.
    """

    def __init__(
        self, live: LiveTurn, have: str, to: str, channel: Channel, done: Callable[[], object]
    ) -> None:
        self._live = live
        self._cursor = Cursor.after(have, live)
        self._to = to
        self._channel = channel
        self._done = done
        self._soon: asyncio.TimerHandle | None = None
        live.listeners.append(self.look)
        self.look()

    def look(self) -> None:
        """Something has changed."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(SOON_S, self._tell)

    def close(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
        self._live.listeners.remove(self.look)
        self._done()

    def _tell(self) -> None:
        self._soon = None
        for event in self._cursor.all_new(self._live):
            message: Message = {"k": "said", "t": self._live.turn.id, "id": event.id}
            if event.kind == "delta":
                message |= {"s": event.text}
            elif event.told is not None:
                message |= {"kind": event.told.kind, "data": event.told.data.decode()}
            else:
                continue
            self._channel.send(message, self._to)
        if self._live.ending is not None:
            self.close()
