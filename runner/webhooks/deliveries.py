"""Which webhooks are still to be delivered, and when each is tried again.

A turn's row says who wants to be told until the webhook was delivered or given up; so the next
process knows what this one has not done. It is marked after the answer has come: a kill between
the two sends it twice, with the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import h11
import structlog

from runner import tasks
from runner.callers import caller_of
from runner.settings import WebhookSettings
from runner.store.base import AcceptedTurn, Store, StoreUnavailable, whatever_it_raises
from runner.telemetry import in_a_line
from runner.turns.live_turn import LiveTurn
from runner.webhooks.address import NotAllowed, Target, resolve
from runner.webhooks.post import LIMIT_S, post
from runner.webhooks.signing import signed
from runner.webhooks.wanted import Wanted

FIRST_S, LONGEST_S = 5.0, 3_600.0
"""After a failure it is tried again: after so many seconds, twice as many, ... an hour."""

GIVE_UP_S = 86_400.0

AT_ONCE = 8
"""Webhooks of one caller on their way; a slow receiver holds up nobody else's."""

GONE = 410
"""The receiver wants no more of them."""

Find = Callable[[str], Awaitable[LiveTurn | None]]
Describe = Callable[[LiveTurn], bytes]

log = structlog.get_logger(__name__)


class Deliveries:
    """One task for each webhook that is outstanding.

    forms  how each of `Wanted.form` describes an ended turn; whoever makes the interface says
           so, before `open`. Where a door is gone, ours is told.
    """

    def __init__(self, settings: WebhookSettings, store: Store, find: Find) -> None:
        self.forms: dict[str, Describe] = {}
        self._settings = settings
        self._store = store
        self._find = find
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONCE)
        )

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
        live = await self._known(turn_id)
        if live is not None:
            await live.until_ended()
        loop, delay_s = asyncio.get_running_loop(), FIRST_S
        give_up_at = loop.time() + GIVE_UP_S
        while not await self._is_over(turn_id):
            # Not all at the same instant, after an outage of their receiver.
            wait_s = delay_s * random.uniform(0.8, 1.2)
            if loop.time() + wait_s > give_up_at:
                log.error("webhook given up", turn_id=turn_id)
                break
            await asyncio.sleep(wait_s)
            delay_s = min(2 * delay_s, LONGEST_S)
        await self._mark(turn_id)

    async def _known(self, turn_id: str) -> LiveTurn | None:
        try:
            with whatever_it_raises:
                return await self._find(turn_id)
        except StoreUnavailable:
            return None  # It has ended, or is not known: the row will tell.

    async def _is_over(self, turn_id: str) -> bool:
        """Try once; whether there is nothing more to do."""
        try:
            with whatever_it_raises:
                kept = await self._store.find(turn_id)
                live = await self._find(turn_id)
        except StoreUnavailable as error:
            return _failed(turn_id, error)
        if kept is None or kept.webhook is None:
            return True  # It was never promised, or is forgotten.
        # One that a shutdown ended has no ending in its row: the next process runs it.
        if kept.ending is None or live is None or live.ending is None:
            return False
        try:
            return await self._try(live, kept, Wanted.parse(kept.webhook))
        except NotAllowed as error:
            return _failed(turn_id, error)
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            return _failed(turn_id, error)

    async def _try(self, live: LiveTurn, kept: AcceptedTurn, wanted: Wanted) -> bool:
        body = self.forms.get(wanted.form, self.forms[""])(live)
        target = Target.parse(wanted.url, self._settings)  # The settings may be others by now.
        async with self._slots[caller_of(kept.conversation)]:
            async with asyncio.timeout(LIMIT_S):
                address = await resolve(target, self._settings)
            signature = signed(self._settings.secret or "", kept.id, int(time.time()), body)
            status = await post(target, address, {**wanted.headers, **signature}, body)
        if 200 <= status < 300 or status == GONE:
            log.info("webhook delivered", turn_id=kept.id, status=status)
            return True
        log.warning("webhook not delivered", turn_id=kept.id, status=status)
        return False

    async def _mark(self, turn_id: str) -> None:
        try:
            with whatever_it_raises:
                await self._store.told(turn_id)
        except StoreUnavailable as error:  # The next process sends it again.
            log.warning("a webhook stays in the store", turn_id=turn_id, reason=_reason(error))


def _failed(turn_id: str, error: BaseException) -> bool:
    log.warning("webhook not delivered", turn_id=turn_id, reason=_reason(error))
    return False


def _reason(error: BaseException) -> str:
    return in_a_line(error.__cause__ or error)
