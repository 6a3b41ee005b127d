"""Reject, whose hint is spread, so that those it refused do not come back together."""

from __future__ import annotations

from random import Random

from strategies import Answer, ConversationBusy, Limits, Ticket, Turn
from strategies.reject import Reject

SPREAD = (0.5, 1.5)
"""Of the expected rest of the running turn: a hint is between these, and right in the mean."""

SEED = 1
"""The same in each instance, so that a simulation can be repeated."""


class RejectJitter(Reject):
    """Refuses at once while its conversation runs, and tells each another time to come back."""

    def __init__(self, answer: Answer, limits: Limits) -> None:
        super().__init__(answer, limits)
        self._random = Random(SEED)

    def submit(self, turn: Turn) -> Ticket:
        try:
            return super().submit(turn)
        except ConversationBusy as busy:
            if busy.retry_after_s is not None:
                busy.retry_after_s *= self._random.uniform(*SPREAD)
            raise
