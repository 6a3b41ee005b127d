"""What the app and the server share: the strategy at work, from start to drain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from time import monotonic

import structlog

from runner import telemetry
from runner.desk import Desk
from runner.lag import LoopLag
from runner.settings import OnDisconnect, Settings
from runner.store.base import Ending, StoreUnavailable
from runner.turns import ending as endings
from runner.turns.asking import Asking
from runner.turns.ledger import Ledger, to_turn
from runner.turns.live import LiveTurn
from strategies import (
    ConversationBusy,
    Draining,
    Load,
    State,
    Strategy,
    Turn,
    TurnCancelled,
    TurnError,
)

STOP_S = 1.0
"""How long a cancellation is given to show what came of it."""

LEFT = "The server is shutting down. The turn is kept, and runs when it is back."

log = structlog.get_logger(__name__)


class Service:
    """One agent behind one strategy. All calls come from one event loop."""

    def __init__(
        self,
        settings: Settings,
        desk: Desk,
        strategy: Strategy,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.desk = desk
        self.draining = False
        self.opened = False
        self.lag = LoopLag()
        self.requests_in_flight = 0
        self._strategy = strategy
        self.book = desk.book
        self._ledger = Ledger(desk.store, settings.store, now)
        self._now = now
        self._last_turn_at = monotonic()
        self._seeing_out: set[asyncio.Task[None]] = set()

    # Life.

    async def open(self) -> None:
        """Make the store ready, and run what an earlier process left; twice does no harm.

        Raises StoreInUse, StoreUnavailable.
        """
        if not self.opened:
            await self.desk.store.open()
            await self._resume()
            self.lag.start()
            self.opened = True

    async def _resume(self) -> None:
        left = await self._ledger.open()
        for kept in left:
            live = LiveTurn(to_turn(kept, self._now()), kept.attempts)
            live.key, live.detached = kept.key, True
            live.written = asyncio.get_running_loop().create_future()
            live.written.set_result(True)
            try:
                self._start(live)
            except TurnError as error:
                await self._ledger.end(live, endings.with_error(_corrected(error, live)))
        if left:
            log.info("turns taken up again", turns=len(left))

    async def close(self) -> None:
        """Let go of the store; twice does no harm."""
        self.opened = False
        self.lag.stop()
        self._ledger.close()
        await self.desk.store.close()

    async def drain(self, timeout_s: float) -> None:
        """As `Strategy.drain`; from the first moment on `ready` is False."""
        self.draining = True
        await self._strategy.drain(timeout_s)
        if self._seeing_out:  # Their endings are being kept.
            await asyncio.wait([*self._seeing_out], timeout=STOP_S)

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

    async def submit(self, asking: Asking) -> tuple[LiveTurn, bool]:
        """The turn, and whether it was asked for before, under the same key.

        Raises the `TurnError` of a refusal, which is logged; KeyReused, StoreUnavailable.
        """
        self._last_turn_at = monotonic()
        known = await self._asked_before(asking)
        if known is not None:
            return known, True
        live = LiveTurn(asking.turn)
        live.key = asking.key
        try:
            self._start(live)
        except TurnError as error:
            self._log(asking.turn, None, error)
            raise
        if asking.to_be_written:
            self._ledger.write(live)
        return live, False

    async def _asked_before(self, asking: Asking) -> LiveTurn | None:
        turn, key = asking.turn, asking.key
        # Again after each wait: another client may have used the key meanwhile.
        while key is not None and (turn_id := self._ledger.asked_before(turn, key)) is not None:
            known = await self.find(turn_id)
            if known is not None:
                return known
            self._ledger.release(turn.conversation, key, turn_id)
        return None

    async def find(self, turn_id: str) -> LiveTurn | None:
        """A turn that lives, or one that is remembered. Raises StoreUnavailable."""
        live = self.book.get(turn_id)
        if live is None:
            kept = await self.desk.store.find(turn_id)
            if kept is not None and kept.ending is not None:
                live = LiveTurn.from_kept(kept)
        return live

    async def cancel(self, live: LiveTurn) -> None:
        """Cancel the turn, if it has not ended; returns when it has and its agent has stopped.

        An agent that does not stop, and a reply that is being kept, are waited for no
        longer than a second.
        """
        if live.ending is None and live.ticket is not None:
            live.ticket.cancel()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + STOP_S
        while (live.ending is None or live.at_work) and loop.time() < ends_at:
            await asyncio.wait((live.pulse.next(),), timeout=ends_at - loop.time())

    def departed(self, live: LiveTurn, policy: OnDisconnect) -> None:
        """A client that waited for the turn has left: do what its policy says."""
        if live.ticket is None or live.ending is not None or live.waiters or live.detached:
            return
        if policy == "cancel" or (policy == "drop-waiting" and live.state is State.WAITING):
            live.departed = live.ticket.cancel()
        live.detached = not live.departed

    async def forget(self, conversation: str) -> None:
        """Forget all that was said in it. Raises ConversationBusy, StoreUnavailable."""
        if self.book.living(conversation):
            raise ConversationBusy
        self.desk.agent.forget(conversation)
        self.book.forget(conversation)
        self._ledger.forget(conversation)
        await self.desk.store.forget(conversation)

    def _start(self, live: LiveTurn) -> None:
        live.ticket = self._strategy.submit(live.turn)
        self.book.add(live)
        self.book.line_moved(live.turn.conversation)
        task = asyncio.get_running_loop().create_task(self._see_out(live))
        self._seeing_out.add(task)
        task.add_done_callback(self._seeing_out.discard)

    async def _see_out(self, live: LiveTurn) -> None:
        """Await the turn's end, keep it, and only then let it be seen."""
        assert live.ticket is not None
        try:
            reply = await live.ticket.reply()
        except TurnError as error:
            ending = await self._failed(live, error)
        else:
            ending = endings.with_reply(live.ticket, reply)
            await self._ledger.end(live, ending)
        self._last_turn_at = monotonic()
        self._log(live.turn, live, live.error)
        live.end(ending)
        self.book.move(live)
        self.book.line_moved(live.turn.conversation)

    async def _failed(self, live: LiveTurn, error: TurnError) -> Ending:
        assert live.ticket is not None
        left = self._is_left(live, error)
        if live.written is not None and not await live.written:
            error = StoreUnavailable(outcome="not_started")
        elif live.departed:
            error = TurnCancelled("The client left.", outcome=error.outcome)
        elif left:
            error = Draining(LEFT, outcome="unknown")
        live.error = _corrected(error, live)
        ending = endings.with_error(error, live.ticket.waited_s, live.ticket.ran_s)
        if not left:
            await self._ledger.end(live, ending)
        return ending

    def _is_left(self, live: LiveTurn, error: TurnError) -> bool:
        """Whether a turn that the shutdown ends is for the next process to run.

        Not where a client waits: it is told that the turn did not run, and may ask again.
        """
        may_run = error.outcome == "not_started" or self.settings.store.on_restart == "run"
        promised = live.written is not None and live.detached and self.desk.store.durable
        return promised and may_run and isinstance(error, Draining)

    def _log(self, turn: Turn, live: LiveTurn | None, error: TurnError | None) -> None:
        telemetry.log_turn(
            turn,
            strategy=self.settings.strategy.name,
            ticket=live.ticket if live else None,
            error=error,
            attempts=live.attempts if live else 0,
            log_messages=self.settings.observability.log_messages,
        )


def _corrected(error: TurnError, live: LiveTurn) -> TurnError:
    """The error, with the outcome that is true of all attempts.

    The strategy knows of those in this process alone, and takes the reading of the
    history, which comes before the agent's call, for a part of it.
    """
    if live.attempts and error.outcome == "not_started":
        error.outcome = "rolled_back"
    elif not live.attempts and error.outcome == "rolled_back":
        error.outcome = "not_started"
    return error
