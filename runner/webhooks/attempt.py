"""One try at a webhook: who is to be told, what, and what the receiver said to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import h11
import structlog

from runner.callers import caller_of
from runner.settings import WebhookSettings
from runner.store.base import Store, StoreUnavailable, whatever_it_raises
from runner.telemetry.log import in_a_line
from runner.turns.live_turn import LiveTurn
from runner.webhooks.address import NotAllowed, Target
from runner.webhooks.post import Sent, send
from runner.webhooks.retries import asked_for
from runner.webhooks.signing import signed
from runner.webhooks.slots import Slots
from runner.webhooks.wanted import Wanted

GONE = 410
"""The receiver wants no more of them."""

NOT_YET = "the turn's end is not kept yet"
"""So is that of one that a shutdown ended: the next process runs it."""

Find = Callable[[str], Awaitable[LiveTurn | None]]
Describe = Callable[[LiveTurn], bytes]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Again:
    """A webhook is to be sent again.

    asked_s  for how many seconds the receiver wants to be left alone.
    """

    reason: str
    asked_s: float = 0.0


class NotTaken(Exception):
    """It could not be sent. The text says why."""


class Attempts:
    """Makes them, so many at a time.

    forms  how each of `Wanted.form` describes an ended turn. Where a door is gone, ours is told.
    """

    def __init__(self, settings: WebhookSettings, store: Store, find: Find) -> None:
        self.forms: Mapping[str, Describe] = {}
        self._settings = settings
        self._store = store
        self._find = find
        self._slots = Slots()

    async def make(self, turn_id: str) -> Again | None:
        """None where there is nothing more to do, whatever came of it."""
        try:
            return await self._make(turn_id)
        except NotTaken as error:  # Let go of here: its traceback holds the turn.
            return Again(str(error))

    async def _make(self, turn_id: str) -> Again | None:
        found = await self._outstanding(turn_id)
        if found is None:
            return None
        caller, wanted = found
        try:
            target = Target.parse(wanted.url, self._settings)  # They may be others by now.
            async with self._slots.one(caller, target.host):
                sent = await self._send(turn_id, wanted, target)
        except (NotAllowed, OSError, TimeoutError, ValueError, h11.ProtocolError) as error:
            raise NotTaken(in_a_line(error)) from error
        about = {"turn_id": turn_id, "host": target.host, "status": sent.status}
        if 200 <= sent.status < 300:
            log.info("webhook delivered", **about)
        elif sent.status == GONE:
            log.warning("webhook not wanted", **about)
        else:
            reason = f"{target.host} answered {sent.status}"
            return Again(reason, asked_for(sent.retry_after))
        return None

    async def _outstanding(self, turn_id: str) -> tuple[str, Wanted] | None:
        """The caller, and who is to be told. Raises NotTaken."""
        try:
            with whatever_it_raises:
                kept = await self._store.find(turn_id)
        except StoreUnavailable as error:
            raise NotTaken(reason_of(error)) from error
        if kept is None:
            log.error("webhook given up", turn_id=turn_id, reason="its turn is not kept any more")
            return None
        if kept.webhook is None:
            return None
        if kept.ending is None:
            raise NotTaken(NOT_YET)
        return caller_of(kept.conversation), Wanted.parse(kept.webhook)

    async def _send(self, turn_id: str, wanted: Wanted, target: Target) -> Sent:
        """Only here, with a slot, is the turn held: it may have a megabyte. Raises NotTaken."""
        try:
            with whatever_it_raises:
                live = await self._find(turn_id)
        except StoreUnavailable as error:
            raise NotTaken(reason_of(error)) from error
        if live is None or live.ending is None:
            raise NotTaken(NOT_YET)
        body = self.forms.get(wanted.form, self.forms[""])(live)
        signature = signed(self._settings.secret, turn_id, body)
        return await send(target, self._settings, {**wanted.headers, **signature}, body)


def reason_of(error: StoreUnavailable) -> str:
    return in_a_line(error.__cause__ or error)
