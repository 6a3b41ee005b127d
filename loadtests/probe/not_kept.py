"""Queue with one difference: some turns are taken back when the agent has already replied.

That happens to any server, seldom: a deadline passes, a client cancels or a disk is full just
then. The agent believes that its turn ended well.
"""

from __future__ import annotations

from strategies import Answer, Attempt, Limits, Reply, Turn, TurnCancelled
from strategies.queue import Queue

TAKEN_BACK = 7
"""The priority of the turns of which this is wanted."""


class NotKept(Queue):
    """As queue, but for the turns of that priority."""

    def __init__(self, answer: Answer, limits: Limits) -> None:
        async def kept_or_not(turn: Turn, attempt: Attempt) -> Reply:
            return await answer(turn, _TakenBack() if turn.priority == TAKEN_BACK else attempt)

        super().__init__(kept_or_not, limits)


class _TakenBack:
    """An `Attempt` that came too late."""

    interrupted = False

    def seal(self) -> None:
        raise TurnCancelled("The probe took it back after the reply.", outcome="rolled_back")
