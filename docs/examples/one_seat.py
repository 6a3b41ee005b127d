"""A strategy of one's own: one turn of a conversation runs, one waits, a further one is refused."""

from strategies import Answer, Limits, Load, Place, Ticket, Turn
from strategies.engine import Discipline, Engine
from strategies.ticket import LocalTicket


class OneSeat(Discipline):
    uses = frozenset({"turn_timeout_s"})  # Of the limits; a setting of any other is told at start.

    def __init__(self, answer: Answer, limits: Limits) -> None:
        self._engine = Engine(answer, limits.turn_timeout_s, self)
        self._seats: dict[str, LocalTicket] = {}

    def submit(self, turn: Turn) -> Ticket:
        self._engine.admit(turn)
        if self._engine.holder(turn.conversation) is None:
            return self._engine.start_now(turn)
        if turn.conversation in self._seats:
            raise self._engine.refuse_busy(turn.conversation)
        ticket = self._seats[turn.conversation] = self._engine.accept(turn)
        return ticket

    def left(self, ticket: LocalTicket, /) -> None:
        del self._seats[ticket.turn.conversation]

    def freed(self, turn: Turn, /) -> None:
        if self._engine.holder(turn.conversation) is None and turn.conversation in self._seats:
            self._engine.start(self._seats.pop(turn.conversation))

    def place(self, ticket: LocalTicket, /) -> Place:
        return Place(position=1)

    def load(self) -> Load:
        return self._engine.load()

    async def drain(self, timeout_s: float) -> None:
        await self._engine.drain(timeout_s)
