"""Reject: one turn of a conversation runs, and no other is accepted until it has ended."""

from __future__ import annotations

from .base import Answer, Limits, Load, Ticket, Turn
from .errors import ConversationBusy, TurnError
from .turns import Turns


class Reject:
    """Refuses at once while its conversation runs; nothing ever waits.

    Takes `turn_timeout_s` of the limits and no other: there is no line to bound.
    """

    def __init__(self, answer: Answer, limits: Limits) -> None:
        self._turns = Turns(answer, limits.turn_timeout_s)

    def submit(self, turn: Turn) -> Ticket:
        self._turns.admit(turn)
        if self._turns.holder(turn.conversation) is not None:
            raise busy(self._turns, turn)
        ticket = self._turns.accept(turn)
        self._turns.start(ticket)
        return ticket

    def load(self) -> Load:
        return self._turns.load()

    async def drain(self, timeout_s: float) -> None:
        await self._turns.drain(timeout_s)


def busy(turns: Turns, turn: Turn) -> TurnError:
    """The refusal of a turn whose conversation is busy, counted, with the time that it is so."""
    running = turns.holder(turn.conversation)
    measured = running is not None and turns.service_time.mean_s is not None
    left_s = turns.expected_left_s(running) if running is not None and measured else None
    return turns.refuse(ConversationBusy(retry_after_s=left_s))
