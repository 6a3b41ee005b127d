"""The turns that have a row: written down before they are promised, read after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from runner import tasks
from runner.settings import StoreSettings
from runner.store.base import (
    AcceptedTurn,
    Ending,
    NothingKept,
    Store,
    StoreUnavailable,
    whatever_it_raises,
)
from runner.telemetry.log import in_a_line
from runner.turns import ending as endings
from runner.turns.clock import SteadyClock
from runner.turns.content import Content
from runner.turns.keys import Keys, digest
from runner.turns.live_turn import LiveTurn
from strategies import TurnInterrupted

T = TypeVar("T")

AGAIN_S = 1.0
"""A store that does not take an ending is asked again after so long."""

PRUNE_S = 60.0

log = structlog.get_logger(__name__)


class Journal:
    """Accepted turns in the store, and their idempotency keys.

    Here instants are those of a clock that nobody sets. In the store they are the wall
    clock's, for the next process, and move along when that is set: no age jumps with it.

    wall  gives seconds since 1970.
    """

    def __init__(self, store: Store, settings: StoreSettings, wall: Callable[[], float]) -> None:
        self._store = store
        self._settings = settings
        self._clock = SteadyClock(wall)
        self.now = self._clock.now
        self.earliest = self._clock.earliest
        self.keys = Keys(settings.keep_turns_s, settings.keep_turns)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pruning: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises StoreUnavailable."""
        await self._prune()
        self._pruning = tasks.spawn(self._prune_for_ever(), "pruning")

    async def take_up(self) -> list[LiveTurn]:
        """Read what an earlier process left; gives the turns that are to run, in their order.

        Raises StoreUnavailable.
        """
        left = [*await self._store.keyed(), *await self._store.unfinished()]
        newest = max((kept.accepted_at for kept in left), default=0.0)
        if newest > self.now():  # The clock was set back meanwhile.
            await self._store.shift(self.now() - newest)
        for kept in await self._store.keyed():
            if kept.ending is None or not endings.frees_key(kept.ending):
                self.keys.add(kept)
        to_run = [kept for kept in await self._store.unfinished() if await self._may_run(kept)]
        if to_run:
            log.info("turns taken up again", turns=len(to_run))
        # Those that ran had a slot each, and are not to stand in a line that may be full now.
        to_run.sort(key=lambda kept: kept.attempts == 0)
        return [LiveTurn.from_kept(kept, self.now()) for kept in to_run]

    def close(self) -> None:
        for task in filter(None, (self._pruning, *self._tasks)):
            task.cancel()

    async def settle(self, timeout_s: float) -> None:
        """Wait so long at most for what is being written."""
        if self._tasks:
            await asyncio.wait([*self._tasks], timeout=timeout_s)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do this work on rows; `settle` waits for it."""
        task = tasks.spawn(work, "rows")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _may_run(self, kept: AcceptedTurn) -> bool:
        """Whether to run it; one that was running and may not run again ends as interrupted."""
        settings = self._settings
        if not kept.attempts:
            return True
        if settings.on_restart == "run" and kept.attempts < settings.max_attempts:
            return True
        times = "once" if kept.attempts == 1 else f"{kept.attempts} times"
        detail = f"The server ended while the turn ran, {times}. Nothing was kept; ask again."
        await self._store.end(kept.id, endings.of(TurnInterrupted(detail), kept.attempts))
        if kept.key is not None:
            self.keys.end(kept.conversation, kept.key)
        log.warning("turn interrupted", turn_id=kept.id, attempts=kept.attempts)
        return False

    def write(self, live: LiveTurn, webhook: str | None = None) -> None:
        """Begin to write the turn down; `live.row` tells when and whether that is done."""
        row = self.row_of(live, webhook)
        self.keys.add(row)
        live.row = self.spawn(self._accept(live, _moved(row, self._clock.ahead_s)))

    def row_of(self, live: LiveTurn, webhook: str | None = None) -> AcceptedTurn:
        turn, now = live.turn, self.now()
        more = None
        if self._store.durable and isinstance(turn.more, Content):
            more = turn.more.to_json()  # For the next process.
        return AcceptedTurn(
            id=turn.id,
            conversation=turn.conversation,
            message=turn.message,
            accepted_at=now,
            deadline_at=None if turn.deadline_s is None else now + turn.deadline_s,
            priority=turn.priority,
            strategy=turn.strategy,
            more=more,
            key=live.key,
            digest=live.key and digest(turn.message, turn.more),
            webhook=webhook,
            request_id=live.origin.request_id,
            traceparent=live.origin.traceparent,
        )

    async def begin(self, lives: list[LiveTurn]) -> None:
        """Write down that the agent is about to be called for these; all have a row or none.

        Raises StoreUnavailable, also where one could not be written down.
        """
        for live in lives:
            if not await live.is_written():
                raise NothingKept
        with whatever_it_raises:
            await self._store.begin([live.turn.id for live in lives])

    async def end(self, live: LiveTurn, ending: Ending) -> bool:
        """Keep what became of a turn that has no reply; a reply is kept with the history.

        False where the store does not take it now: then it is asked again until it does.
        """
        try:
            with whatever_it_raises:
                await self._store.end(live.turn.id, ending)
        except StoreUnavailable as error:
            reason = in_a_line(error.__cause__ or error)
            log.warning("an ending is not kept yet", turn_id=live.turn.id, reason=reason)
            self.spawn(self._end_later(live, ending))
            return False
        return True

    async def _accept(self, live: LiveTurn, row: AcceptedTurn) -> bool:
        try:
            with whatever_it_raises:
                await self._store.accept(row)
        except StoreUnavailable as error:
            live.may_have_row = error.outcome == "unknown"
            if live.ticket is not None:
                live.ticket.cancel()
            return False
        return True

    async def _end_later(self, live: LiveTurn, ending: Ending) -> None:
        while True:
            await asyncio.sleep(AGAIN_S)
            try:
                with whatever_it_raises:
                    return await self._store.end(live.turn.id, ending)
            except StoreUnavailable:
                continue

    async def _prune(self) -> None:
        # Rows that are written meanwhile are the new wall clock's already, and come after this.
        if jump_s := self._clock.jump_s():
            try:
                await self._store.shift(jump_s)
            except NothingKept:
                self._clock.ahead_s -= jump_s  # It is seen again the next time.
                raise
        before = self.now() + self._clock.ahead_s - self._settings.keep_turns_s
        await self._store.prune(before, self._settings.keep_turns)

    async def _prune_for_ever(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_S)
            try:
                with whatever_it_raises:
                    await self._prune()
            except StoreUnavailable as error:
                reason = in_a_line(error.__cause__ or error)
                log.warning("old turns stay in the store", reason=reason)


def _moved(row: AcceptedTurn, by_s: float) -> AcceptedTurn:
    if not by_s:
        return row
    deadline_at = None if row.deadline_at is None else row.deadline_at + by_s
    return replace(row, accepted_at=row.accepted_at + by_s, deadline_at=deadline_at)
