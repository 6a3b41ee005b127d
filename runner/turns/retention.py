"""Conversations that nobody has used for too long are forgotten, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from runner.store.base import Store, StoreUnavailable, whatever_it_raises
from runner.telemetry.log import in_a_line
from strategies import ConversationBusy

LOOK_S = 60.0

MOST_AT_ONCE = 1_000
"""Conversations that are forgotten each time; each is a short write of its own, so that a turn
waits for one of them at most."""

log = structlog.get_logger(__name__)


class Retention:
    """Looks once a minute which conversations are older than `keep_s`.

    Not at the start: a machine's clock is often set only then, and what is gone does not come
    back.

    now     seconds since 1970; it may be behind, but never ahead.
    forget  removes a conversation if nothing was kept of it since an instant, and tells whether
            it did. Raises ConversationBusy, StoreUnavailable.
    """

    def __init__(
        self,
        store: Store,
        keep_s: float,
        now: Callable[[], float],
        forget: Callable[[str, float], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._keep_s = keep_s
        self._now = now
        self._forget = forget

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                with whatever_it_raises:
                    await self._look()
            except StoreUnavailable as error:
                reason = in_a_line(error.__cause__ or error)
                log.warning("old conversations stay in the store", reason=reason)

    async def _look(self) -> None:
        forgotten = 0
        try:
            for conversation in await self._store.idle(self._since(), MOST_AT_ONCE):
                forgotten += await self._forget_one(conversation)
        finally:
            if forgotten:
                log.info("old conversations forgotten", conversations=forgotten)

    async def _forget_one(self, conversation: str) -> bool:
        try:
            # Asked anew each time: a turn may have come since, or somebody set the clock back.
            return await self._forget(conversation, self._since())
        except ConversationBusy:
            return False

    def _since(self) -> float:
        return self._now() - self._keep_s
