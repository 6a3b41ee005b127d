"""The turns that have a row: written down before they are promised, read after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from runner.settings import StoreSettings
from runner.store.base import AcceptedTurn, Ending, Store, StoreUnavailable
from runner.turns import ending as endings
from runner.turns.keys import Entry, Keys, digest
from runner.turns.live_turn import LiveTurn
from strategies import Turn, TurnInterrupted

AGAIN_S = 1.0
"""A store that does not take an ending is asked again after so long."""

PRUNE_S = 60.0

log = structlog.get_logger(__name__)


class KeyReused(Exception):
    """The key was used for another message. Use a new one for each message."""


class Journal:
    """Accepted turns in the store, and their idempotency keys. `now` gives seconds since 1970."""

    def __init__(self, store: Store, settings: StoreSettings, now: Callable[[], float]) -> None:
        self._store = store
        self._settings = settings
        self._now = now
        self._keys = Keys(settings.keep_turns_s, settings.keep_turns)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> list[AcceptedTurn]:
        """Read what an earlier process left; gives the turns that are to run, in their order.

        Raises StoreUnavailable.
        """
        await self._prune()
        for kept in await self._store.keyed():
            is_free = kept.ending is not None and endings.frees_key(kept.ending)
            if kept.key is not None and not is_free:
                entry = Entry(kept.id, kept.digest or "", kept.accepted_at)
                self._keys.add(kept.conversation, kept.key, entry)
        to_run = [kept for kept in await self._store.unfinished() if await self._may_run(kept)]
        self._spawn(self._prune_for_ever())
        # Those that ran had a slot each, and are not to stand in a line that may be full now.
        return sorted(to_run, key=lambda kept: kept.attempts == 0)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def to_turn(self, kept: AcceptedTurn) -> Turn:
        """The turn that was written down, with the time that remains to it."""
        deadline_s = None if kept.deadline_at is None else kept.deadline_at - self._now()
        return Turn(
            kept.id, kept.conversation, kept.message, deadline_s, kept.priority, kept.strategy
        )

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
        log.warning("turn interrupted", turn_id=kept.id, attempts=kept.attempts)
        return False

    # Keys.

    def asked_before(self, turn: Turn, key: str) -> str | None:
        """The id of the turn that was asked under this key, if any. Raises KeyReused."""
        entry = self._keys.find(turn.conversation, key, self._now())
        if entry is None:
            return None
        if entry.digest != digest(turn.message):
            raise KeyReused(KeyReused.__doc__)
        return entry.turn_id

    def release(self, conversation: str, key: str, turn_id: str) -> None:
        """The key may be used as if for the first time, if it still stands for this turn."""
        self._keys.release(conversation, key, turn_id)

    def forget(self, conversation: str) -> None:
        self._keys.forget(conversation)

    # Rows.

    def write(self, live: LiveTurn) -> None:
        """Begin to write the turn down; `live.row` tells when and whether that is done."""
        turn, now = live.turn, self._now()
        if live.key is not None:
            entry = Entry(turn.id, digest(turn.message), now)
            self._keys.add(turn.conversation, live.key, entry)
        row = AcceptedTurn(
            id=turn.id,
            conversation=turn.conversation,
            message=turn.message,
            accepted_at=now,
            deadline_at=None if turn.deadline_s is None else now + turn.deadline_s,
            priority=turn.priority,
            strategy=turn.strategy,
            key=live.key,
            digest=live.key and digest(turn.message),
        )
        live.row = self._spawn(self._accept(live, row))

    async def begin(self, lives: list[LiveTurn]) -> None:
        """Write down that the agent is about to be called for these; all have a row or none.

        Raises StoreUnavailable, also where one could not be written down.
        """
        for live in lives:
            if live.row is not None and not await asyncio.shield(live.row):
                raise StoreUnavailable
        await self._store.begin([live.turn.id for live in lives])

    async def end(self, live: LiveTurn, ending: Ending) -> None:
        """Keep what became of a turn that has no reply; a reply is kept with the history."""
        try:
            await self._store.end(live.turn.id, ending)
        except StoreUnavailable:
            log.warning("an ending is not kept yet", turn_id=live.turn.id)
            self._spawn(self._end_later(live.turn.id, ending))

    async def _accept(self, live: LiveTurn, row: AcceptedTurn) -> bool:
        try:
            await self._store.accept(row)
        except StoreUnavailable:
            if live.ticket is not None:
                live.ticket.cancel()
            return False
        return True

    async def _end_later(self, turn_id: str, ending: Ending) -> None:
        while True:
            await asyncio.sleep(AGAIN_S)
            try:
                return await self._store.end(turn_id, ending)
            except StoreUnavailable:
                pass

    async def _prune(self) -> None:
        before = self._now() - self._settings.keep_turns_s
        await self._store.prune(before, self._settings.keep_turns)

    async def _prune_for_ever(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_S)
            try:
                await self._prune()
            except StoreUnavailable as error:
                log.warning("old turns stay in the store", reason=str(error.__cause__))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
