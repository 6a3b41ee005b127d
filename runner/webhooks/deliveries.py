"""Which webhooks are still to be delivered, and when each is tried again.

A turn's row says who wants to be told until the webhook was delivered or given up; so the next
process knows what this one has not done. It is marked after the answer has come: a kill between
the two sends it twice, with the same `webhook-id`. It is tried as long as there is the row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from runner import tasks
from runner.settings import WebhookSettings
from runner.store.base import Store, StoreUnavailable, whatever_it_raises
from runner.turns.live_turn import LiveTurn
from runner.webhooks.attempt import Again, Attempts, Describe, Find, reason_of
from runner.webhooks.retries import pauses
from runner.webhooks.wanted import Wanted

log = structlog.get_logger(__name__)


class Deliveries:
    """One task for each webhook that is outstanding. It holds nothing of the turn meanwhile.

    retrying  how many were not taken yet, and will be sent again.
    """

    def __init__(self, settings: WebhookSettings, store: Store, find: Find) -> None:
        self.retrying = 0
        self._store = store
        self._find = find
        self._attempts = Attempts(settings, store, find)
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    def tell_as(self, forms: Mapping[str, Describe]) -> None:
        """How each form describes a turn; whoever makes the interface says so, before `open`."""
        self._attempts.forms = forms

    async def open(self) -> None:
        """Take up what an earlier process has left. Raises StoreUnavailable."""
        for kept in await self._store.untold():
            self.expect(kept.id)

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def expect(self, turn_id: str) -> None:
        """Deliver the turn's webhook when it has ended; its row is kept, or being written."""
        if turn_id not in self._tasks:
            task = tasks.spawn(self._deliver(turn_id), "webhooks")
            self._tasks[turn_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(turn_id))

    # Of a turn that was accepted before. All raise StoreUnavailable.

    async def wanted(self, live: LiveTurn) -> Wanted | None:
        """What is outstanding for it."""
        kept = await self._store.find(live.turn.id)
        return None if kept is None or kept.webhook is None else Wanted.parse(kept.webhook)

    async def want(self, live: LiveTurn, wanted: Wanted) -> bool:
        """In place of what it had. False where it has ended, or nobody can ask for it again."""
        if live.ending is not None or not await live.is_written():
            return False
        if not await self._store.hook(live.turn.id, wanted.text):
            return False
        self.expect(live.turn.id)
        return True

    async def want_none(self, live: LiveTurn) -> None:
        await self._store.told(live.turn.id)

    # One delivery.

    async def _deliver(self, turn_id: str) -> None:
        if not await self._was_promised(turn_id):
            return
        again = await self._attempts.make(turn_id)
        if again is not None:
            self.retrying += 1
            try:
                await self._until_taken(turn_id, again)
            finally:
                self.retrying -= 1
        await self._mark(turn_id)

    async def _was_promised(self, turn_id: str) -> bool:
        """Whether the turn has a row; waits until it has ended."""
        try:
            with whatever_it_raises:
                live = await self._find(turn_id)
        except StoreUnavailable:
            return True  # The row will tell.
        if live is None:
            return True
        await live.until_ended()
        return await live.is_written()

    async def _until_taken(self, turn_id: str, again: Again | None) -> None:
        for pause_s in pauses():
            if again is None:
                return
            wait_s, reason = pause_s + again.asked_s, again.reason
            soon = round(wait_s, 1)
            log.warning("webhook not delivered", turn_id=turn_id, reason=reason, again_in_s=soon)
            await asyncio.sleep(wait_s)
            again = await self._attempts.make(turn_id)

    async def _mark(self, turn_id: str) -> None:
        try:
            with whatever_it_raises:
                await self._store.told(turn_id)
        except StoreUnavailable as error:  # The next process sends it again.
            reason = reason_of(error)
            log.warning("a webhook stays in the store", turn_id=turn_id, reason=reason)
