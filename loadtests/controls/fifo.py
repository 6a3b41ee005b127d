"""One line for everybody, first in first out: what most servers have in front of a pool."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from loadtests.controls.shedding_lock import at_least_1
from strategies import Answer, Limits, Load, ServerFull, Ticket, Turn
from strategies.engine import Discipline, Engine
from strategies.ticket import LocalTicket


class Fifo(Discipline):
    """`max_running` turns run, one of a conversation, and the others wait in a single line.

    bound  so many may wait in all, and a further one is refused; None for any number.

    The one that has waited longest starts, of those whose conversation is free; so a stuck
    agent does not hold up the line. Nobody has a share: whoever floods makes all others
    wait or be refused, which is promise 8 of `Strategy`, and this does not make it.

    Takes `max_running` and `turn_timeout_s` of the limits. A start looks past the waiting
    turns of busy conversations; all else costs the same however many wait.
    """

    uses = frozenset({"max_running", "turn_timeout_s"})

    def __init__(self, answer: Answer, limits: Limits, *, bound: int | None = None) -> None:
        if limits.max_running < 1:
            raise ValueError("max_running must be at least 1, or no turn would ever run")
        self._engine = Engine(answer, limits.turn_timeout_s, self)
        self._max_running = limits.max_running
        self._bound = at_least_1(bound)
        self._line: OrderedDict[LocalTicket, None] = OrderedDict()

    def submit(self, turn: Turn) -> Ticket:
        engine = self._engine
        engine.admit(turn)
        # Had one of its conversation waited for both, it would have started.
        if self._has_slot() and self._is_free(turn):
            return engine.start_now(turn)
        if len(self._line) >= self._bound:
            # There is room again when the first of so many slots is free.
            raise engine.refuse(ServerFull(retry_after_s=engine.service_s / self._max_running))
        ticket = engine.accept(turn)
        self._line[ticket] = None
        return ticket

    def load(self) -> Load:
        return self._engine.load()

    async def drain(self, timeout_s: float) -> None:
        await self._engine.drain(timeout_s)

    def _has_slot(self) -> bool:
        return self._engine.slots.total() < self._max_running

    def _is_free(self, turn: Turn) -> bool:
        return self._engine.holder(turn.conversation) is None

    # As a Discipline.

    def left(self, ticket: LocalTicket, /) -> None:
        del self._line[ticket]

    def freed(self, turn: Turn, /) -> None:
        if not self._has_slot():
            return
        # One end makes room for one start: what could run before has started before.
        ready = next((ticket for ticket in self._line if self._is_free(ticket.turn)), None)
        if ready is not None:
            self.left(ready)
            self._engine.start(ready)


fifo_5 = partial(Fifo, bound=5)
fifo_20 = partial(Fifo, bound=20)
