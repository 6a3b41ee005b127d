"""Merge: what waits in a conversation becomes one turn, and all its senders get that reply."""

from __future__ import annotations

from .base import Answer, Limits, Load, Ticket, Turn
from .queue import AGEING_S, Queue


class Merge:
    """Turns wait as in the queue; when their conversation is free, all of them run as one.

    joined_by  stands between the messages, which are joined in order of arrival.

    One that is cancelled or expires while they run leaves the others alone; it ends with
    the outcome `unknown`, for its message is with theirs. Takes all of the limits, and
    `ageing_s`, as the queue does.
    """

    def __init__(
        self,
        answer: Answer,
        limits: Limits,
        *,
        joined_by: str = "\n\n",
        ageing_s: float = AGEING_S,
    ) -> None:
        self._queue = Queue(
            answer, limits, ageing_s=ageing_s, merges=lambda turn: True, joined_by=joined_by
        )
        self.ageing_s = ageing_s

    def submit(self, turn: Turn) -> Ticket:
        return self._queue.submit(turn)

    def load(self) -> Load:
        return self._queue.load()

    async def drain(self, timeout_s: float) -> None:
        await self._queue.drain(timeout_s)
