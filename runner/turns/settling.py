"""The end of a turn: what became of it is decided and kept, and only then shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import cast

import structlog

from runner.settings import Settings
from runner.store.base import Ending, NothingKept, StoreUnavailable
from runner.turns import ending as endings
from runner.turns.journal import Journal
from runner.turns.known_turns import KnownTurns
from runner.turns.live_turn import LiveTurn
from runner.turns.observer import Observer
from strategies import Draining, Outcome, Reply, Ticket, TurnCancelled, TurnError

OK = 200

log = structlog.get_logger(__name__)


class Settling:
    """Takes turns from their strategy, which has done with them, to their visible end.

    log_turn     is given each turn that has ended, as `telemetry.log.log_turn` is.
    durable      whether what is kept survives the process.
    last_end_at  when a turn was last shown to have ended, by `time.monotonic`.
    status_of    the HTTP status for an error, for the log; None where nobody speaks HTTP.
    """

    def __init__(
        self,
        settings: Settings,
        known: KnownTurns,
        journal: Journal,
        observer: Observer,
        log_turn: Callable[..., None],
        *,
        durable: bool,
    ) -> None:
        self.last_end_at = monotonic()
        self._observer = observer
        self._known = known
        self._journal = journal
        self._durable = durable
        self._on_restart = settings.store.on_restart
        self._log = partial(
            log_turn,
            strategy=settings.strategy.name,
            log_messages=settings.observability.log_messages,
        )
        self.status_of: Callable[[TurnError], int] | None = None

    def settled(self, live: LiveTurn, ticket: Ticket) -> None:
        """The strategy has done with the turn: keep what became of it, and only then show it."""
        if live.ending is not None:
            return  # As another process has said.
        try:
            came_to = _what_came_of(ticket)
            if isinstance(came_to, TurnError) and live.abandoned:
                came_to = TurnCancelled("The client left.", outcome=came_to.outcome)
            if isinstance(came_to, TurnError) and live.row is not None and not live.is_kept:
                self._journal.spawn(self._keep(live, ticket, came_to))
            else:
                self._finish(live, ticket, came_to)
        except BaseException as fault:
            self._end_anyway(live, fault)

    async def _keep(self, live: LiveTurn, ticket: Ticket, error: TurnError) -> None:
        try:
            if not await live.is_written():
                error = await self._without_row(live, ticket)
            elif self._runs_later(live, error):
                log.info("turn left for the next process", turn_id=live.turn.id)
                error = type(error)(endings.KEPT_FOR_LATER, outcome="unknown")
                return self._show(live, error, endings.of(error, live.attempts, ticket))
            else:
                await self._journal.end(live, endings.of(error, live.attempts, ticket))
            if live.ending is None:  # Another process may have said meanwhile how it ended.
                self._finish(live, ticket, error)
        except BaseException as fault:
            self._end_anyway(live, fault)

    async def _without_row(self, live: LiveTurn, ticket: Ticket) -> TurnError:
        """The error of a turn that could not be written down."""
        error = NothingKept()
        # A row of which nobody knows would be taken up by the next process: have it end.
        sure = not live.may_have_row or await self._journal.end(live, endings.of(error, 0, ticket))
        return error if sure else StoreUnavailable()

    def _end_anyway(self, live: LiveTurn, fault: BaseException) -> None:
        """Whatever was raised, the turn ends, so that nobody waits for it for ever."""
        if live.ending is None:
            error = TurnError(outcome="unknown")
            error.__cause__ = fault
            self._show(live, error, endings.of(error, live.attempts))
        if isinstance(fault, asyncio.CancelledError):
            raise fault
        log.error("the end of a turn failed", turn_id=live.turn.id, exc_info=fault)

    def _runs_later(self, live: LiveTurn, error: TurnError) -> bool:
        """Whether a turn that the shutdown ends is for the next process to run.

        Not where a client waits: it is told that the turn did not run, and may ask again.
        """
        may_run = error.outcome == "not_started" or self._on_restart == "run"
        return live.promised and self._durable and may_run and isinstance(error, Draining)

    def _finish(self, live: LiveTurn, ticket: Ticket, came_to: Reply | TurnError) -> None:
        error = came_to if isinstance(came_to, TurnError) else None
        ending = endings.of(came_to, live.attempts, ticket)
        told = None if error is None else ending.outcome
        self._log_turn(live, error, ticket, told)
        self._show(live, error, ending)

    def learn(
        self, live: LiveTurn, ticket: Ticket, error: TurnError | None, ending: Ending
    ) -> None:
        """It has ended in another process, which has kept that."""
        self._log_turn(live, error, ticket, None if error is None else ending.outcome)
        self._show(live, error, ending)

    def refused(self, live: LiveTurn, error: TurnError) -> None:
        """Log a turn that was not accepted."""
        self._log_turn(live, error)

    def _log_turn(
        self,
        live: LiveTurn,
        error: TurnError | None,
        ticket: Ticket | None = None,
        told: Outcome | None = None,
    ) -> None:
        if not live.counts:
            return  # The process that accepted it has the line.
        status = None
        if self.status_of is not None:
            status = OK if error is None else self.status_of(error)
        self._log(
            live.turn,
            ticket=ticket,
            error=error,
            attempts=live.attempts,
            left_behind=told,
            origin=live.origin,
            trace_id=live.trace_id,
            status=status,
        )

    def _show(self, live: LiveTurn, error: TurnError | None, ending: Ending) -> None:
        self.end_key(live, ending)
        self.last_end_at = monotonic()
        fault = None if error is None else error.__cause__
        if fault is not None:
            _let_go_of_frames(fault)
        try:
            live.end(ending, fault)
        finally:  # Its conversation is free.
            self._known.ended(live)
            if live.counts:
                self._observer.ended(live)

    def end_key(self, live: LiveTurn, ending: Ending) -> None:
        """An ended turn keeps its key for those who ask again, or leaves it as if never used."""
        if live.key is None:
            return
        if endings.frees_key(ending):
            self._journal.keys.release(live.turn.id, live.turn.conversation, live.key)
        else:
            self._journal.keys.end(live.turn.conversation, live.key)


def _what_came_of(ticket: Ticket) -> Reply | TurnError:
    try:
        return ticket.result()
    except TurnError as error:
        # Or it would hold the frame that holds it, and with it all that the agent was given,
        # until the garbage collector comes: after many failed turns.
        return error.with_traceback(None)


def _let_go_of_frames(fault: BaseException) -> None:
    """Of an error that has been logged: in its frames are the history and state that were read.

    An ended turn remembers it for minutes, for its words.
    """
    faults: list[BaseException | None] = [fault]
    while faults:
        one = faults.pop()
        if one is not None and one.__traceback__ is not None:
            one.__traceback__ = None
            faults += [one.__cause__, one.__context__]
            if isinstance(one, BaseExceptionGroup):
                faults += cast("BaseExceptionGroup[BaseException]", one).exceptions
