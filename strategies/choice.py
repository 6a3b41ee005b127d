"""Choice: each turn by the strategy that it names, over one set of conversations."""

from __future__ import annotations

from .base import Answer, Limits, Load, Ticket, Turn
from .interrupt import interrupt
from .queue import AGEING_S, Queue
from .reject import busy

NAMES = ("queue", "enqueue", "reject", "interrupt", "rollback", "merge")
"""What a turn may name. Four of them are called so by LangGraph's server too."""


class Choice:
    """What becomes of a turn whose conversation is busy is said by the turn itself.

    `queue` and `enqueue` wait; `reject` is refused; `interrupt` stops the running turn and
    keeps what it said; `rollback` stops it and keeps nothing; `merge` waits, and runs as
    one with its neighbours in the line that say so too.

    default  for the turns that name none.
    """

    def __init__(
        self,
        answer: Answer,
        limits: Limits,
        *,
        default: str = "queue",
        ageing_s: float = AGEING_S,
    ) -> None:
        if default not in NAMES:
            raise ValueError(f"default must be one of {', '.join(NAMES)}, and not {default!r}")
        self._default = default
        self._queue = Queue(
            answer, limits, ageing_s=ageing_s, merges=lambda turn: self._name(turn) == "merge"
        )
        self.ageing_s = ageing_s

    def _name(self, turn: Turn) -> str:
        return turn.strategy or self._default

    def submit(self, turn: Turn) -> Ticket:
        queue = self._queue
        match self._name(turn):
            case "queue" | "enqueue" | "merge":
                return queue.submit(turn)
            case "reject":
                queue.turns.admit(turn)
                if queue.turns.holder(turn.conversation) or queue.line(turn.conversation):
                    raise busy(queue.turns, turn)
                return queue.submit(turn)
            case "interrupt":
                return interrupt(queue, turn, "keep", "drop")
            case "rollback":
                return interrupt(queue, turn, "rollback", "drop")
            case name:
                raise ValueError(f"there is no strategy {name!r} for a turn: {', '.join(NAMES)}")

    def load(self) -> Load:
        return self._queue.load()

    async def drain(self, timeout_s: float) -> None:
        await self._queue.drain(timeout_s)
