"""What the app and the server share: the strategy at work, from start to drain."""

from __future__ import annotations

import asyncio
from time import monotonic

from runner import telemetry
from runner.desk import Desk
from runner.lag import LoopLag
from runner.settings import Settings
from strategies import Load, Strategy, Ticket, Turn, TurnError


class Service:
    """One agent behind one strategy. All calls come from one event loop."""

    def __init__(self, settings: Settings, desk: Desk, strategy: Strategy) -> None:
        self.settings = settings
        self.desk = desk
        self.draining = False
        self.opened = False
        self.lag = LoopLag()
        self.requests_in_flight = 0
        self._strategy = strategy
        self._last_turn_at = monotonic()
        self._left_behind: set[asyncio.Task[None]] = set()

    # Life.

    async def open(self) -> None:
        """Make the store ready and start measuring. Raises `StoreInUse`; twice does no harm."""
        if not self.opened:
            await self.desk.store.open()
            self.lag.start()
            self.opened = True

    async def close(self) -> None:
        """Let go of the store; twice does no harm."""
        self.opened = False
        self.lag.stop()
        await self.desk.store.close()

    async def drain(self, timeout_s: float) -> None:
        """As `Strategy.drain`; from the first moment on `ready` is False."""
        self.draining = True
        await self._strategy.drain(timeout_s)

    @property
    def ready(self) -> bool:
        return self.opened and not self.draining

    @property
    def idle_s(self) -> float:
        """Seconds since a turn was last submitted or ended; 0.0 while one waits or runs."""
        load = self._strategy.load()
        return 0.0 if load.waiting or load.running else monotonic() - self._last_turn_at

    def load(self) -> Load:
        return self._strategy.load()

    # Turns.

    def submit(self, turn: Turn) -> Ticket:
        """As `Strategy.submit`; a refusal is logged."""
        self._last_turn_at = monotonic()
        try:
            return self._strategy.submit(turn)
        except TurnError as error:
            self._log(turn, None, error)
            raise

    def ended(self, ticket: Ticket, error: TurnError | None = None) -> None:
        """Note the end of a turn. Called once for each ticket."""
        self._last_turn_at = monotonic()
        self._log(ticket.turn, ticket, error)

    def leave_behind(self, ticket: Ticket) -> None:
        """The client is gone and the turn goes on: see it to its end all the same."""
        task = asyncio.get_running_loop().create_task(self._see_out(ticket))
        self._left_behind.add(task)
        task.add_done_callback(self._left_behind.discard)

    async def _see_out(self, ticket: Ticket) -> None:
        try:
            await ticket.reply()
        except TurnError as error:
            self.ended(ticket, error)
        else:
            self.ended(ticket)

    def _log(self, turn: Turn, ticket: Ticket | None, error: TurnError | None) -> None:
        telemetry.log_turn(
            turn,
            strategy=self.settings.strategy.name,
            ticket=ticket,
            error=error,
            log_messages=self.settings.observability.log_messages,
        )
