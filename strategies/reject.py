"""Reject: one turn of a conversation runs, and no other is accepted until it has ended."""

from __future__ import annotations

from .base import Answer, Limits, Load, Ticket, Turn
from .engine import Discipline, Engine


class Reject(Discipline):
    """Refuses at once while its conversation runs; nothing ever waits.

    Takes `turn_timeout_s` of the limits and no other: there is no line to bound.
    """

    uses = frozenset({"turn_timeout_s"})

    def __init__(self, answer: Answer, limits: Limits) -> None:
        self._engine = Engine(answer, limits.turn_timeout_s, self)

    def submit(self, turn: Turn) -> Ticket:
        self._engine.admit(turn)
        if self._engine.holder(turn.conversation) is not None:
            raise self._engine.refuse_busy(turn.conversation)
        return self._engine.start_now(turn)

    def load(self) -> Load:
        return self._engine.load()

    async def drain(self, timeout_s: float) -> None:
        await self._engine.drain(timeout_s)
