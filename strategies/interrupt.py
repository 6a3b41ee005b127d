"""Interrupt: the newest message of a conversation stops the turn that runs, and takes its place."""

from __future__ import annotations

from typing import Literal

from .base import Answer, Limits, Load, Ticket, Turn
from .errors import TurnInterrupted
from .queue import AGEING_S, Queue

Said = Literal["keep", "rollback"]
Waiting = Literal["drop", "keep"]


class Interrupt:
    """The newest message stops the running turn; with what it said kept, or rolled back.

    said     `keep`: the words that were said so far are kept as the reply, where the
             agent and the `answer` around it can do so; `rollback`: nothing is.
    waiting  `drop`: what waits in between ends as interrupted; `keep`: it keeps its
             place, before the newest.

    A reply that is just being kept is not interrupted, and an agent that does not stop
    keeps its conversation: then the newest waits. Takes all of the limits, and `ageing_s`,
    as the queue does.
    """

    def __init__(
        self,
        answer: Answer,
        limits: Limits,
        *,
        said: Said = "keep",
        waiting: Waiting = "drop",
        ageing_s: float = AGEING_S,
    ) -> None:
        if said not in ("keep", "rollback"):
            raise ValueError(f"said must be keep or rollback, and not {said!r}")
        if waiting not in ("drop", "keep"):
            raise ValueError(f"waiting must be drop or keep, and not {waiting!r}")
        self._queue = Queue(answer, limits, ageing_s=ageing_s)
        self.ageing_s = ageing_s
        self._said: Said = said
        self._waiting: Waiting = waiting

    def submit(self, turn: Turn) -> Ticket:
        return interrupt(self._queue, turn, self._said, self._waiting)

    def load(self) -> Load:
        return self._queue.load()

    async def drain(self, timeout_s: float) -> None:
        await self._queue.drain(timeout_s)


def interrupt(queue: Queue, turn: Turn, said: Said, waiting: Waiting) -> Ticket:
    """Put the turn into the queue and make room for it. A refused one interrupts nothing."""
    before = queue.line(turn.conversation) if waiting == "drop" else []
    running = queue.turns.holder(turn.conversation)
    ticket = queue.enter(turn, leaving=len(before), frees=True)
    for other in before:
        queue.turns.withdraw(other, TurnInterrupted(outcome="not_started"))
    if running is not None and said == "keep":
        queue.turns.interrupt(running)
    elif running is not None:
        for other in running.running:
            queue.turns.withdraw(other, TurnInterrupted())
    return ticket
